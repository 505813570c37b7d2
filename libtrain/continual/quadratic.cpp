#include "continual/quadratic.h"

#include "optim/cpu/loops.h"

namespace moesaic {

double add_quadratic_pull(const at::Tensor& weight, const at::Tensor& importance,
                          const at::Tensor& anchor, double factor, const at::Tensor& gradient) {
  if (weight.is_cpu()) return cpu::quadratic_pull(weight, importance, anchor, factor, gradient);
  const at::Tensor way = weight.sub(anchor);
  const at::Tensor scaled = importance.defined() ? way.mul(importance) : way;
  at::Tensor(gradient).add_(scaled, factor);
  return scaled.mul(way).sum(at::kDouble).item<double>();
}

}  // namespace moesaic
