// Gate gradients: what a router learns from the task loss. The forward pass is that of the top K
// whatever the estimator, but for the sampling of sparse_mixer; only the gradient differs.
//
// With delta the gradient of the layer's output and E_j what expert j makes of a token, the weight
// of expert j has the gradient <delta, E_j>. Top K knows it for the chosen experts alone, and where
// their weights are divided by their sum, one chosen expert has the weight 1 and no gradient at
// all. The dense estimators are straight through: backward takes the weights for those of all
// experts, the dense gates G, and gives each of them
//   dense_mixer  <delta, E_j>, every expert being run (Yao et al. 2025, DenseMixer), those not
//                chosen forward alone;
//   default_moe  <delta, E_j> for the chosen, <delta, average output of j> for the others (Panda et
//                al. 2025, arXiv 2504.12463; there the averages are part of the forward pass, too,
//                here not: the model stays one that others can run).
#pragma once

#include <ATen/core/Tensor.h>

#include "core/random.h"
#include "nn/forward_context.h"

namespace moesaic {

inline constexpr double kTinyScore = 1e-20;  // sigmoid scores may all vanish (DeepSeek's code)

/// The weights that a token's experts would have if all were chosen, as a function of the scores.
struct DenseGates {
  bool softmax = true;  // the scores are a softmax of the logits; else their sigmoid
  bool norm_topk_prob = false;
  double scaling_factor = 1;

  /// score_TE -> G_TE.
  at::Tensor of(const at::Tensor& score_TE) const;
  /// Gradient of the logits, from that of G.
  at::Tensor backward(const at::Tensor& score_TE, const at::Tensor& dG_TE) const;
};

/// `weight_TK` of the chosen experts, its gradient going to theirs of `gates_TE`. Choices of -1
/// have none.
at::Tensor straight_through(const at::Tensor& weight_TK, const at::Tensor& selected_TK,
                            const at::Tensor& gates_TE);

/// -> [T, E]: weights of zero whose gradient is that of `gates_TE`.
at::Tensor zero_weights(const at::Tensor& gates_TE);

/// -> [T, E]: the values of the choices in the columns of their experts, zero elsewhere. Choices of
/// -1 have none. Not in the graph.
at::Tensor to_columns(const at::Tensor& value_TK, const at::Tensor& selected_TK,
                      std::int64_t experts);

/// bool [T, E]: the experts that are not among the choices of a token.
at::Tensor not_among(const at::Tensor& selected_TK, std::int64_t experts);

/// `y_TD` itself; gives the gates of the missing experts the gradient <dy, average_ED>.
at::Tensor with_default_outputs(const at::Tensor& y_TD, const at::Tensor& gates_TE,
                                const at::Tensor& missing_TE, const at::Tensor& average_ED);

/// SparseMixer-v2 (Liu et al. 2024, arXiv 2409.12136, section 2.1): experts are drawn one after the
/// other from those whose logit is within 2 eps of the best that is left, relative to it; weights
/// of experts that are not the best are scaled by 1 or 1/3 (Heun's third-order rule).
struct SparseMixerDraw {
  at::Tensor selected_TK;  // int64
  at::Tensor scale_TK;     // 1 or 1/3
  at::Tensor gates_KTE;    // softmax over the experts that a choice was drawn from
};
/// `selected_TK` defined: those were drawn before (recomputation), the same numbers.
SparseMixerDraw draw_experts(const at::Tensor& logits_TE, std::int64_t chosen, double eps,
                             const RandomKey& key, const Batch& batch,
                             const at::Tensor& selected_TK = {});

/// weight_TK x scale_TK; the gradient of the logits is that of the draw's softmax:
/// sum_k dw_k w_k (1[selected_k] - gates_k).
at::Tensor sampled_weights(const at::Tensor& weight_TK, const SparseMixerDraw& draw,
                           const at::Tensor& logits_TE);

}  // namespace moesaic
