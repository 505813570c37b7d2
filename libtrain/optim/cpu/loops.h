// Passes over parameters and gradients on a CPU, which memory bandwidth bounds: each value is
// fetched once. Contiguous tensors of one dtype, float32 or float64.
#pragma once

#include <ATen/core/Tensor.h>

namespace moesaic::cpu {

/// Of one step of AdamW (optim/optimizer.h).
struct AdamWStep {
  double beta1, beta2, eps;
  double decay;           // the weight is multiplied by 1 - decay
  double step_size;       // learning rate / (1 - beta1^t)
  double variance_scale;  // 1 / (1 - beta2^t)
  double gradient_scale;
};

/// Updates weight and moments from gradient_scale * gradient, which becomes zero.
void adamw(const AdamWStep& step, const at::Tensor& weight, const at::Tensor& gradient,
           const at::Tensor& exp_avg, const at::Tensor& exp_avg_sq);

/// Adds factor * importance (weight - anchor) to the gradient, and in the same pass makes the sum
/// of importance (weight - anchor)^2, in float64 and in an order as that of sum_of_squares.
/// `importance` not defined: 1 throughout.
double quadratic_pull(const at::Tensor& weight, const at::Tensor& importance,
                      const at::Tensor& anchor, double factor, const at::Tensor& gradient);

/// The sum of squares, in float64 and in an order that depends on the number of values and the kind
/// of processor, not on threads.
double sum_of_squares(const at::Tensor& x);

}  // namespace moesaic::cpu
