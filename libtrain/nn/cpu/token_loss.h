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

/// Of each row, in float32 (float64): the highest logit, the sum of exponentials below it, and the
/// target's logit; -inf, 0 and 0 to begin with. -log p is highest + log sum - chosen.
struct VocabularySums {
  at::Tensor highest_R, sum_R, chosen_R;
};

/// Adds the logits [R, n] of the ids from `first` on (Milakov and Gimelshein 2018, arXiv
/// 1805.02867, algorithm 3). A target without one, below 0, has no logit.
void add_vocabulary_part(const at::Tensor& logits, const at::Tensor& targets, std::int64_t first,
                         const VocabularySums& sums);

}  // namespace moesaic::cpu
