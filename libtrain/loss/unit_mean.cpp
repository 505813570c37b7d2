#include "loss/unit_mean.h"

#include <ATen/ops/_unique.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <map>

namespace moesaic {

at::Tensor UnitMean::of_targets(const Batch& batch) const {
  const at::Tensor is_target_T = batch.targets_T.ge(0).to(at::kDouble);
  if (is_target_T.numel() == 0) return is_target_T;
  const auto [unit_U, slot_T] = at::_unique(batch.example_id_T, true, /*return_inverse=*/true);
  const at::Tensor targets_U =
      at::zeros({unit_U.size(0)}, is_target_T.options()).index_add(0, slot_T, is_target_T);
  return targets_U.clamp_min(1).mul(units).reciprocal().index_select(0, slot_T);
}

std::vector<double> UnitMean::of_documents(const Batch& batch) const {
  const at::Tensor host = batch.example_id_T.cpu();
  const auto* unit = host.const_data_ptr<std::int64_t>();
  std::map<std::int64_t, double> documents;
  for (std::int64_t d = 0; d < batch.documents(); ++d)
    ++documents[unit[batch.document_offsets[static_cast<std::size_t>(d)]]];
  std::vector<double> weights;
  for (std::int64_t d = 0; d < batch.documents(); ++d) {
    const std::int64_t owner = unit[batch.document_offsets[static_cast<std::size_t>(d)]];
    weights.push_back(1 / (documents.at(owner) * units));
  }
  return weights;
}

at::Tensor UnitMean::of_rows(const Batch& batch) const {
  const std::vector<double> weights = of_documents(batch);
  at::Tensor weight_T = at::zeros({batch.tokens()}, at::kDouble);
  for (std::size_t d = 0; d < weights.size(); ++d) {
    const std::int64_t first = batch.document_offsets[d];
    const std::int64_t rows = batch.document_offsets[d + 1] - first;
    weight_T.narrow(0, first, rows)
        .fill_(weights[d] / static_cast<double>(std::max<std::int64_t>(1, rows)));
  }
  return weight_T.to(batch.example_id_T.device());
}

}  // namespace moesaic
