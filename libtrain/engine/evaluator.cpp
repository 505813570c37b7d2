#include "engine/evaluator.h"

#include <ATen/core/grad_mode.h>

#include "comm/trace_span.h"
#include "loss/cross_entropy.h"

namespace moesaic {

double validation_loss(const RankContext& context, const Model& model, Computation& computation,
                       const EvalBatches& data) {
  const at::NoGradGuard no_gradients;
  const Span span("evaluation");
  double sum = 0;
  for (std::int64_t first = 0; first < data.count(); first += context.world.size()) {
    const std::int64_t mine = first + context.rank();
    const Batch batch =
        to_device(mine < data.count() ? data.micro_batch(mine) : empty_batch(), context.device);
    const ForwardContext forward = computation.forward(batch);
    const ModelOutput output = model.forward(forward);
    sum += token_losses(forward, model.head(), output.hidden_TD, batch.targets_T)
               .sum(at::kDouble)
               .item<double>();
  }
  sum = context.world.all_reduce(sum, ReduceOp::kSum, "eval.loss");
  return sum / static_cast<double>(data.target_tokens());
}

}  // namespace moesaic
