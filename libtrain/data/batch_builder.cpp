#include "data/batch_builder.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <numeric>

#include "core/error.h"

namespace moesaic {
namespace {

using Values = std::vector<std::int64_t>;

// Room for `count` more -> the first of them.
std::int64_t* grow(Values& values, std::int64_t count) {
  values.resize(values.size() + static_cast<std::size_t>(count));
  return values.data() + std::ssize(values) - count;
}

}  // namespace

void BatchBuilder::add(std::span<const std::int64_t> ids, const Document& document,
                       std::span<const std::uint8_t> may_be_target) {
  const std::int64_t rows = std::ssize(ids) - (document.last_is_input ? 0 : 1);
  const bool example_goes_on = !examples_.empty() && examples_.back() == document.example;
  MOESAIC_ASSERT(rows >= 1 && (may_be_target.empty() || may_be_target.size() == ids.size()));
  MOESAIC_ASSERT(document.example >= 0 && document.example >> (62 - kPlaceBits) == 0);
  MOESAIC_ASSERT(!document.joins_previous || example_goes_on);
  std::int64_t& before = rows_of_example_[document.example];
  MOESAIC_ASSERT((before + rows) >> kPlaceBits == 0);

  std::copy_n(ids.data(), rows, grow(ids_, rows));
  std::int64_t* targets = grow(targets_, rows);
  std::fill_n(targets, rows, kNoTarget);
  for (std::size_t i = 1; document.has_targets && i < ids.size(); ++i) {
    if (may_be_target.empty() || may_be_target[i] != 0) targets[i - 1] = ids[i];
  }
  std::int64_t* positions = grow(positions_, rows);
  std::iota(positions, positions + rows, document.position);
  std::fill_n(grow(examples_, rows), rows, document.example);
  std::int64_t* places = grow(places_, rows);
  std::iota(places, places + rows, before);
  for (std::int64_t* place = places; place != places + rows; ++place) {
    if (document.draws) *place = kOwnDraws + static_cast<std::uint32_t>(*place + *document.draws);
    *place += document.example << kPlaceBits;
  }
  before += rows;

  const std::int64_t end = std::ssize(ids_);
  document_offsets_.push_back(end);
  if (document.joins_previous)
    attention_offsets_.back() = end;
  else
    attention_offsets_.push_back(end);
}

Batch BatchBuilder::build() const {
  return {.ids_T = index_tensor(ids_),
          .targets_T = index_tensor(targets_),
          .positions_T = index_tensor(positions_),
          .example_id_T = index_tensor(examples_),
          .place_T = index_tensor(places_),
          .attention_offsets = attention_offsets_,
          .document_offsets = document_offsets_};
}

}  // namespace moesaic
