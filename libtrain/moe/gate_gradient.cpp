#include "moe/gate_gradient.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <limits>

#include "core/error.h"
#include "moe/training.h"
#include "nn/autograd.h"
#include "nn/token_uniform.h"

namespace moesaic {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Experts that are not within 2 eps of the best one.
at::Tensor far_from_best(const at::Tensor& logits_TE, const at::Tensor& best_T1, double eps) {
  const at::Tensor scale_TE = at::maximum(logits_TE.abs(), best_T1);
  return best_T1.sub(logits_TE).div(scale_TE).gt(2 * eps);
}

}  // namespace

GateGradient gate_gradient_named(const std::string& name) {
  if (name == "default_moe") return GateGradient::kDefaultMoe;
  if (name == "dense_mixer") return GateGradient::kDenseMixer;
  if (name == "sparse_mixer") return GateGradient::kSparseMixer;
  MOESAIC_ASSERT(name == "top_k");
  return GateGradient::kTopK;
}

at::Tensor DenseGates::of(const at::Tensor& score_TE) const {
  const at::Tensor gates_TE =
      softmax || !norm_topk_prob ? score_TE : score_TE.div(score_TE.sum(-1, true).add(kTinyScore));
  return scaling_factor == 1 ? gates_TE : gates_TE.mul(scaling_factor);
}

at::Tensor DenseGates::backward(const at::Tensor& score_TE, const at::Tensor& dG_TE) const {
  const at::Tensor d_TE = dG_TE.mul(scaling_factor);
  if (softmax) return score_TE.mul(d_TE.sub(score_TE.mul(d_TE).sum(-1, true)));
  const at::Tensor slope_TE = score_TE.mul(score_TE.neg().add(1));
  if (!norm_topk_prob) return d_TE.mul(slope_TE);
  const at::Tensor sum_T1 = score_TE.sum(-1, true).add(kTinyScore);
  const at::Tensor mean_T1 = score_TE.mul(d_TE).sum(-1, true).div(sum_T1);
  return d_TE.sub(mean_T1).div(sum_T1).mul(slope_TE);
}

at::Tensor straight_through(const at::Tensor& weight_TK, const at::Tensor& selected_TK,
                            const at::Tensor& gates_TE) {
  return record("straight_through", {gates_TE}, weight_TK.detach().clone(),
                [selected_TK, experts = gates_TE.size(1)](const Tensors& dw) -> Tensors {
                  return {to_columns(dw[0], selected_TK, experts)};
                });
}

at::Tensor zero_weights(const at::Tensor& gates_TE) {
  return record("zero_weights", {gates_TE}, at::zeros_like(gates_TE.detach()),
                [](const Tensors& dw) -> Tensors { return dw; });
}

at::Tensor to_columns(const at::Tensor& value_TK, const at::Tensor& selected_TK,
                      std::int64_t experts) {
  const at::Tensor none = selected_TK.lt(0);
  return at::zeros({value_TK.size(0), experts}, value_TK.options())
      .scatter_add_(1, selected_TK.masked_fill(none, 0), value_TK.masked_fill(none, 0));
}

at::Tensor not_among(const at::Tensor& selected_TK, std::int64_t experts) {
  return to_columns(at::ones_like(selected_TK), selected_TK, experts).eq(0);
}

at::Tensor with_default_outputs(const at::Tensor& y_TD, const at::Tensor& gates_TE,
                                const at::Tensor& missing_TE, const at::Tensor& average_ED) {
  return record(
      "default_outputs", {y_TD, gates_TE}, y_TD.detach().clone(),
      [missing_TE, average_ED, dtype = gates_TE.scalar_type()](const Tensors& dy) -> Tensors {
        const at::Tensor d_TE = dy[0].to(dtype).matmul(average_ED.to(dtype).t());
        return {dy[0], d_TE.mul(missing_TE)};
      });
}

SparseMixerDraw draw_experts(const at::Tensor& logits_TE, std::int64_t chosen, double eps,
                             const RandomKey& key, const Batch& batch,
                             const at::Tensor& selected_TK) {
  const std::int64_t experts = logits_TE.size(1);
  // Of each choice: E numbers that decide which expert, and one for the scale.
  const at::Tensor uniform = token_uniform(key, batch.place_T, chosen * (experts + 1));
  at::Tensor left_TE = logits_TE.detach();
  std::vector<at::Tensor> selected, scale, gates;
  for (std::int64_t k = 0; k < chosen; ++k) {
    const auto [best_T1, best_index_T1] = left_TE.max(-1, true);
    const at::Tensor near_TE =
        left_TE.masked_fill(far_from_best(logits_TE.detach(), best_T1, eps), -kInfinity);
    const at::Tensor u = uniform.narrow(1, k * (experts + 1), experts + 1).clamp_min(1e-300);
    const at::Tensor gumbel_TE =
        u.narrow(1, 0, experts).log().neg().log().neg().to(logits_TE.scalar_type());
    const at::Tensor drawn_T1 = selected_TK.defined()
                                    ? selected_TK.narrow(1, k, 1)
                                    : std::get<1>(near_TE.add(gumbel_TE).max(-1, true));
    const at::Tensor whole_T1 =
        drawn_T1.eq(best_index_T1).logical_or(u.narrow(1, experts, 1).lt(0.25));
    selected.push_back(drawn_T1);
    scale.push_back(whole_T1.to(logits_TE.scalar_type()).mul(2).add(1).div(3));
    gates.push_back(at::softmax(near_TE, -1));
    left_TE = left_TE.scatter(1, drawn_T1, -kInfinity);
  }
  return {at::cat(selected, 1), at::cat(scale, 1), at::stack(gates)};
}

at::Tensor sampled_weights(const at::Tensor& weight_TK, const SparseMixerDraw& draw,
                           const at::Tensor& logits_TE) {
  const at::Tensor weight = weight_TK.detach();
  return record(
      "sampled_weights", {logits_TE}, weight.mul(draw.scale_TK),
      [weight, draw, experts = logits_TE.size(1)](const Tensors& dw) -> Tensors {
        const at::Tensor d_TK = dw[0].mul(weight);
        const at::Tensor d_KT1 = d_TK.t().unsqueeze(-1);
        return {to_columns(d_TK, draw.selected_TK, experts).sub(draw.gates_KTE.mul(d_KT1).sum(0))};
      });
}

}  // namespace moesaic
