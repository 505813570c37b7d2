#include "loss/validation.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros.h>

#include "comm/trace_span.h"
#include "loss/cross_entropy.h"

namespace moesaic {

Validation validation_of(const RankContext& context, const Model& model, Computation& computation,
                         const EvalData& data) {
  const at::NoGradGuard no_gradients;
  const Span span("evaluation");
  at::Tensor sums = at::zeros({2}, at::kDouble);
  double* const loss = sums.mutable_data_ptr<double>();
  double* const found = loss + 1;
  for (std::int64_t first = 0; first < data.count(); first += context.world.size()) {
    const std::int64_t mine = first + context.rank();
    const Batch batch =
        to_device(mine < data.count() ? data.micro_batch(mine) : empty_batch(), context.device);
    const ForwardContext forward = computation.forward(batch);
    const at::Tensor hidden_TD = model.forward(forward).hidden_TD;
    const at::Tensor& targets_T = batch.targets_T;
    *loss +=
        token_losses(forward, model.head(), hidden_TD, targets_T).sum(at::kDouble).item<double>();
    if (data.has_labels())
      *found += static_cast<double>(count_found(forward, model.head(), hidden_TD, targets_T));
  }
  context.world.all_reduce(sums, ReduceOp::kSum, "eval.sums");
  const auto targets = static_cast<double>(data.target_tokens());
  Validation validation{.loss = *loss / targets, .accuracy = {}};
  if (data.has_labels()) validation.accuracy = *found / targets;
  return validation;
}

}  // namespace moesaic
