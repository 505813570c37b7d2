#include "federated/compressed_changes.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <span>

#include "federated/doubles.h"

namespace moesaic {

CompressedChanges::CompressedChanges(const aggregate::Compression& way,
                                     const ParameterSet& parameters, const RoundModel& model)
    : way_(way), model_(model) {
  for (const RoundModel::Entry& entry : model.shared()) {
    const std::vector<std::int64_t>& shape = parameters[entry.index].shape;
    left_over_.push_back({.name = "left_over/" + entry.name,
                          .tensor = at::zeros(shape, at::kDouble),
                          .global_shape = shape,
                          .exact = true});
  }
}

CompressedChanges::Packed CompressedChanges::apply(const RankContext& slot,
                                                   std::vector<at::Tensor>& change) {
  Packed packed;
  for (std::size_t i = 0; i < change.size(); ++i) {
    at::Tensor values = change[i].to(at::kDouble).contiguous();
    const bool cut = model_.shared()[i].scope == Scope::kExpert;
    if (cut) values = slot.expert.all_gather(values, "round.whole experts");
    values = send(values, left_over_[i].tensor, packed);
    const std::int64_t rows = change[i].dim() > 0 ? change[i].size(0) : 0;
    const std::int64_t first = slot.plan.expert_rank_of(slot.rank()) * rows;
    change[i] = cut ? values.narrow(0, first, rows) : values;
  }
  return packed;
}

at::Tensor CompressedChanges::send(const at::Tensor& whole, const at::Tensor& left_over,
                                   Packed& packed) const {
  const std::span<double> kept = doubles_of(left_over);
  std::vector<double> left(kept.begin(), kept.end());
  packed.push_back(aggregate::compressed_with_feedback(way_, doubles_of(whole), left));
  std::copy(left.begin(), left.end(), kept.begin());
  const std::vector<double> read = aggregate::decompressed(way_, packed.back(), kept.size());
  at::Tensor result = at::empty(whole.sizes(), at::kDouble);
  std::copy(read.begin(), read.end(), doubles_of(result).begin());
  return result;
}

}  // namespace moesaic
