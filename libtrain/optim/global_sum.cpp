#include "optim/global_sum.h"

#include <ATen/ops/scalar_tensor.h>

namespace moesaic {

double global_sum(const RankContext& context, const PartialSums& sums, bool spread,
                  const std::string& label) {
  double dense = sums.dense, experts = sums.experts;
  if (spread) {
    dense = context.world.all_reduce(dense + experts, ReduceOp::kSum, label + ".spread");
    experts = 0;
  } else if (context.plan.expert > 1) {
    experts = context.expert.all_reduce(experts, ReduceOp::kSum, label + ".experts");
  }
  const at::Tensor sum = at::scalar_tensor(dense + experts, at::kDouble);
  // Replicas must not drift apart by the last bit of a reduction.
  context.world.broadcast(sum, 0, label);
  return sum.item<double>();
}

}  // namespace moesaic
