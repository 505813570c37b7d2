#include "optim/clip.h"

#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/stack.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/format.h"
#include "optim/cpu/loops.h"
#include "optim/global_sum.h"

namespace moesaic {
namespace {

// A device is asked once for all of them.
double sum_of_squares(const std::vector<at::Tensor>& gradients) {
  double sum = 0;
  std::vector<at::Tensor> norms;
  for (const at::Tensor& x : gradients) {
    if (x.is_cpu())
      sum += cpu::sum_of_squares(x);
    else
      norms.push_back(at::linalg_vector_norm(x, 2, std::nullopt, false, at::kDouble));
  }
  return norms.empty() ? sum : sum + at::stack(norms).square().sum().item<double>();
}

}  // namespace

double global_norm(const RankContext& context, const Gradients& gradients) {
  std::vector<at::Tensor> of_dense, of_experts;
  for (const GradientEntry& entry : gradients.entries)
    (entry.parameter.scope == Scope::kDense ? of_dense : of_experts).push_back(entry.gradient);
  const PartialSums sums{.dense = sum_of_squares(of_dense), .experts = sum_of_squares(of_experts)};
  const double sum = global_sum(context, sums, gradients.spread, "grad_norm");
  return std::abs(gradients.scale) * std::sqrt(sum);
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
