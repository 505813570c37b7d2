#include "optim/clip.h"

#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/scalar_tensor.h>

#include <algorithm>
#include <cmath>

#include "core/format.h"

namespace moesaic {

double global_norm(const RankContext& context, const Gradients& gradients) {
  double dense = 0, expert = 0;
  for (const auto& [parameter, gradient] : gradients) {
    const double norm =
        at::linalg_vector_norm(gradient, 2, std::nullopt, false, at::kDouble).item<double>();
    (parameter.scope == Scope::kDense ? dense : expert) += norm * norm;
  }
  if (context.plan.expert > 1) {
    expert = context.expert.all_reduce(expert, ReduceOp::kSum, "grad_norm.experts");
  }
  const at::Tensor norm = at::scalar_tensor(std::sqrt(dense + expert), at::kDouble);
  // Replicas must not drift apart by the last bit of a reduction.
  context.world.broadcast(norm, 0, "grad_norm");
  return norm.item<double>();
}

std::string ClipByGlobalNorm::name() const {
  return clip_norm_ > 0 ? format("clip_by_global_norm({})", clip_norm_) : "measure_global_norm";
}

void ClipByGlobalNorm::apply(const RankContext& context, const Gradients& gradients,
                             GradientReport& report) const {
  report.grad_norm = global_norm(context, gradients);
  report.clip_factor = 1;
  if (clip_norm_ <= 0 || !std::isfinite(report.grad_norm) || report.grad_norm <= clip_norm_) return;
  report.clip_factor = clip_norm_ / report.grad_norm;
  for (const auto& entry : gradients) at::Tensor(entry.gradient).mul_(report.clip_factor);
}

}  // namespace moesaic
