#include "moe/feedback.h"

#include <ATen/ops/zeros.h>

#include "core/error.h"

namespace moesaic {

void BiasBalance::after(const RankContext& /*context*/, const Step& /*step*/) {
  const at::Tensor count = routing_.counts().to(at::kDouble);
  const at::Tensor step_LE = count.mean(1, true).sub(count).sign().mul(update_speed_);
  for (std::size_t layer = 0; layer < biases_.size(); ++layer) {
    at::Tensor& bias = biases_[layer];
    bias.add_(step_LE[static_cast<std::int64_t>(layer)].to(bias.options()));
  }
}

void ExpertAverages::after_forward(const ModelOutput& output) {
  const std::vector<RouterRecord>& records = output.routers;
  sums_.resize(records.size());
  for (std::size_t layer = 0; layer < records.size(); ++layer) {
    const at::Tensor& more = records[layer].output_sum;
    MOESAIC_ASSERT(more.defined());
    sums_[layer] = sums_[layer].defined() ? sums_[layer].add(more) : more;
  }
}

// Every expert is held by the ranks of one expert-data group; each adds its micro-batches.
void ExpertAverages::after(const RankContext& context, const Step& /*step*/) {
  const std::int64_t layers = average_LED_.size(0), experts = average_LED_.size(1);
  const std::int64_t width = average_LED_.size(2);
  const at::Tensor sums = at::zeros({layers, experts, width + 1}, average_LED_.options());
  for (std::int64_t layer = 0; layer < layers; ++layer) {
    const at::Tensor& own = sums_[static_cast<std::size_t>(layer)];
    const std::int64_t local = own.size(0);
    sums.select(0, layer).narrow(0, context.expert.rank() * local, local).copy_(own);
  }
  sums_.clear();
  context.world.all_reduce(sums, ReduceOp::kSum, "step.expert_averages");
  for (std::int64_t layer = 0; layer < layers; ++layer) {
    const at::Tensor by_expert = sums.select(0, layer).index_select(0, slot_LE_.select(0, layer));
    const at::Tensor rows_E1 = by_expert.narrow(1, width, 1);
    const at::Tensor mean_ED = by_expert.narrow(1, 0, width).div(rows_E1.clamp_min(1));
    at::Tensor average_ED = average_LED_.select(0, layer);
    const at::Tensor moved_ED = average_ED.mul(decay_).add(mean_ED, 1 - decay_);
    average_ED.copy_(moved_ED.where(rows_E1.gt(0), average_ED));
  }
}

StateDict ExpertAverages::state() const {
  return {{.name = "moe/expert_average",
           .tensor = average_LED_,
           .global_shape = average_LED_.sizes().vec()}};
}

}  // namespace moesaic
