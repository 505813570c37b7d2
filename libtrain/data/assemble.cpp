#include "data/assemble.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <numeric>

namespace moesaic {

Batch assemble(std::span<const SequenceRef> sequences, std::int64_t first_example) {
  Batch batch;
  std::int64_t longest = 0;
  for (const auto& [source, index] : sequences) {
    const std::int64_t targets = source->targets(index);
    longest = std::max(longest, targets);
    batch.sequence_offsets.push_back(batch.tokens() + targets);
  }
  for (auto* tensor : {&batch.ids_T, &batch.targets_T, &batch.positions_T, &batch.example_id_T}) {
    *tensor = at::empty({batch.tokens()}, at::kLong);
  }
  std::vector<std::int64_t> all(static_cast<std::size_t>(longest + 1));
  for (std::size_t i = 0; i < sequences.size(); ++i) {
    const auto [source, index] = sequences[i];
    const std::int64_t start = batch.sequence_offsets[i];
    const std::int64_t count = batch.sequence_offsets[i + 1] - start;
    const auto row = [start](at::Tensor& tensor) {
      return tensor.mutable_data_ptr<std::int64_t>() + start;
    };
    source->copy_ids(index, all.data());
    std::copy_n(all.data(), count, row(batch.ids_T));
    std::copy_n(all.data() + 1, count, row(batch.targets_T));
    std::iota(row(batch.positions_T), row(batch.positions_T) + count, std::int64_t{0});
    std::fill_n(row(batch.example_id_T), count, first_example + static_cast<std::int64_t>(i));
  }
  return batch;
}

}  // namespace moesaic
