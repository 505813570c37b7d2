// Softmax and cross entropy of rows of logits on the CPU.
#pragma once

#include <ATen/core/Tensor.h>

namespace moesaic::cpu {

/// loss [R] = -log softmax(logits)[target], 0 where target < 0. logits [R, V] contiguous in any
/// dtype, loss in float32 (float64), targets int64 [R].
void token_loss(const at::Tensor& logits, const at::Tensor& targets, const at::Tensor& loss);

/// As token_loss; each row of logits becomes the gradient of factor x loss.
void token_loss_and_gradient(const at::Tensor& logits, const at::Tensor& targets, double factor,
                             const at::Tensor& loss);

}  // namespace moesaic::cpu
