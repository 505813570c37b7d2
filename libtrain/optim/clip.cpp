#include "optim/clip.h"

#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/scalar_tensor.h>

#include <algorithm>
#include <cmath>

#include "core/format.h"
#include "optim/cpu/loops.h"

namespace moesaic {
namespace {

double sum_of_squares(const at::Tensor& x) {
  if (x.is_cpu()) return cpu::sum_of_squares(x);
  const double norm = at::linalg_vector_norm(x, 2, std::nullopt, false, at::kDouble).item<double>();
  return norm * norm;
}

}  // namespace

double global_norm(const RankContext& context, const Gradients& gradients) {
  double dense = 0, expert = 0;
  for (const auto& [parameter, gradient] : gradients.entries)
    (parameter.scope == Scope::kDense ? dense : expert) += sum_of_squares(gradient);
  if (context.plan.expert > 1) {
    expert = context.expert.all_reduce(expert, ReduceOp::kSum, "grad_norm.experts");
  }
  const at::Tensor norm =
      at::scalar_tensor(std::abs(gradients.scale) * std::sqrt(dense + expert), at::kDouble);
  // Replicas must not drift apart by the last bit of a reduction.
  context.world.broadcast(norm, 0, "grad_norm");
  return norm.item<double>();
}

std::string ClipByGlobalNorm::name() const {
  return clip_norm_ > 0 ? format("clip_by_global_norm({})", clip_norm_) : "measure_global_norm";
}

void ClipByGlobalNorm::apply(const RankContext& context, const Step& /*step*/, Gradients& gradients,
                             MetricsRow& report) {
  const double norm = global_norm(context, gradients);
  const bool clips = clip_norm_ > 0 && std::isfinite(norm) && norm > clip_norm_;
  const double factor = clips ? clip_norm_ / norm : 1.0;
  if (clips) gradients.scale *= factor;
  report.set("grad_norm", norm);
  report.set("clip_factor", factor);
}

}  // namespace moesaic
