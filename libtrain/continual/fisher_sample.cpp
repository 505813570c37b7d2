#include "continual/fisher_sample.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include <algorithm>
#include <limits>

namespace moesaic {
namespace {

constexpr std::int64_t kAll = std::numeric_limits<std::int64_t>::max();

// Over the ranks in their order: how many are before this one's, and how many there are.
struct Counted {
  std::int64_t before = 0;
  std::int64_t total = 0;
};

Counted counted(const Communicator& world, std::int64_t mine) {
  const at::Tensor own = at::empty({1}, at::kLong);
  *own.mutable_data_ptr<std::int64_t>() = mine;
  const at::Tensor all = world.all_gather(own, "fisher: examples");
  const auto* counts = all.const_data_ptr<std::int64_t>();
  Counted out;
  for (int rank = 0; rank < world.size(); ++rank) {
    if (rank < world.rank()) out.before += counts[rank];
    out.total += counts[rank];
  }
  return out;
}

// The first row of each run of equal values, and the number of rows.
std::vector<std::int64_t> starts_of_runs(const at::Tensor& value_T) {
  const at::Tensor values = value_T.contiguous();
  const auto* value = values.const_data_ptr<std::int64_t>();
  std::vector<std::int64_t> starts;
  for (std::int64_t row = 0; row < values.numel(); ++row) {
    if (row == 0 || value[row] != value[row - 1]) starts.push_back(row);
  }
  starts.push_back(values.numel());
  return starts;
}

// How many of `mine` are among the `left` that are still wanted.
std::int64_t own_share(std::int64_t left, std::int64_t mine) {
  return std::clamp(left, std::int64_t{0}, mine);
}

}  // namespace

FisherSample::Place FisherSample::take_place() {
  Place mine;
  for (int rank = 0; rank < world_.size(); ++rank) {
    while (next_.index >= data_.size(next_.step).micro_batches) next_ = {next_.step + 1, 0};
    if (rank == world_.rank()) mine = next_;
    ++next_.index;
  }
  return mine;
}

std::vector<std::int64_t> FisherSample::starts(const Batch& batch) const {
  return options_.documents ? batch.document_offsets : starts_of_runs(batch.example_id_T);
}

Batch FisherSample::numbered(const Batch& batch, std::int64_t count, std::int64_t number) const {
  const std::vector<std::int64_t> begin = starts(batch);
  const auto rows_before = [&](std::int64_t i) { return begin[static_cast<std::size_t>(i)]; };
  Batch out = first_rows(batch, rows_before(count));
  out.example_id_T = at::empty_like(out.example_id_T);
  out.place_T = at::empty_like(out.place_T);
  auto* example = out.example_id_T.mutable_data_ptr<std::int64_t>();
  auto* place = out.place_T.mutable_data_ptr<std::int64_t>();
  for (std::int64_t i = 0; i < count; ++i) {
    for (std::int64_t row = rows_before(i); row < rows_before(i + 1); ++row) {
      example[row] = number + i;
      place[row] = ((number + i) << kPlaceBits) + row - rows_before(i);
    }
  }
  return out;
}

std::optional<Batch> FisherSample::next() {
  if (examples_ >= options_.examples) return std::nullopt;
  const Place place = take_place();
  Batch batch = data_.micro_batch(place.step, place.index);
  const std::vector<std::int64_t> begin = starts_of_runs(batch.example_id_T);
  const Counted sequences = counted(world_, std::ssize(begin) - 1);
  const std::int64_t left = options_.sequences.value_or(kAll) - sequences_ - sequences.before;
  const std::int64_t kept = own_share(left, std::ssize(begin) - 1);
  batch = first_rows(batch, begin[static_cast<std::size_t>(kept)]);
  sequences_ += sequences.total;
  const std::int64_t mine = std::ssize(starts(batch)) - 1;
  const Counted all = counted(world_, mine);
  if (all.total == 0) return std::nullopt;
  const std::int64_t count = own_share(options_.examples - examples_ - all.before, mine);
  batch = count > 0 ? numbered(batch, count, examples_ + all.before) : empty_batch();
  examples_ = std::min(options_.examples, examples_ + all.total);
  micro_batches_ += counted(world_, count > 0 ? 1 : 0).total;
  return batch;
}

}  // namespace moesaic
