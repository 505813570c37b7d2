#include "moe/router.h"

#include <ATen/ops/bincount.h>
#include <ATen/ops/gather.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/topk.h>
#include <ATen/ops/zeros_like.h>

#include <limits>

#include "comm/trace_span.h"
#include "nn/ops.h"

namespace moesaic {
namespace {

constexpr double kTiny = 1e-20;  // sigmoid scores may all vanish (DeepSeek's code)

// Scores of the experts outside the best groups become -inf.
at::Tensor keep_best_groups(const at::Tensor& score_TE, const Router::Options& o) {
  const at::Tensor grouped =
      score_TE.view({score_TE.size(0), o.n_group, o.num_experts / o.n_group});
  const at::Tensor score_TG = std::get<0>(at::topk(grouped, o.group_score_top, -1)).sum(-1);
  const at::Tensor best = std::get<1>(at::topk(score_TG, o.topk_group, -1));
  const at::Tensor kept_TG = at::zeros_like(score_TG, at::kBool).scatter_(1, best, true);
  return grouped
      .masked_fill(kept_TG.logical_not().unsqueeze(-1), -std::numeric_limits<double>::infinity())
      .view(score_TE.sizes());
}

}  // namespace

at::Tensor Router::select(const ForwardContext& context, const at::Tensor& score_TE) const {
  if (context.chosen_TK.defined()) return context.chosen_TK;
  at::Tensor choice_TE = score_TE;
  if (bias_) choice_TE = choice_TE.add(context.weights.get(*bias_, score_TE.scalar_type()));
  if (options_.n_group > 1) choice_TE = keep_best_groups(choice_TE, options_);
  return std::get<1>(at::topk(choice_TE, options_.num_experts_per_tok, -1));
}

Routing Router::route(const ForwardContext& context, const at::Tensor& x_TD) const {
  const Span span("router");
  const bool softmax = options_.scoring == Scoring::kSoftmax;
  const at::Tensor logits_TE = linear(context, weight_, nullptr, x_TD.to(context.precision.master));
  const at::Tensor score_TE = softmax ? at::softmax(logits_TE, -1) : at::sigmoid(logits_TE);
  const at::Tensor selected_TK = select(context, score_TE.detach());
  at::Tensor weight_TK = at::gather(score_TE, 1, selected_TK);
  if (options_.norm_topk_prob)
    weight_TK = weight_TK.div(weight_TK.sum(-1, true).add(softmax ? 0.0 : kTiny));
  if (options_.scaling_factor != 1) weight_TK = weight_TK.mul(options_.scaling_factor);
  const at::Tensor p_TE = softmax ? score_TE : score_TE.div(score_TE.sum(-1, true).add(kTiny));
  const at::Tensor count_E = at::bincount(selected_TK.flatten(), {}, options_.num_experts);
  return {weight_TK, selected_TK, {logits_TE, p_TE, selected_TK, count_E}};
}

void Router::collect(ParameterSet& parameters) {
  parameters.add(weight_);
  if (bias_) parameters.add(*bias_);
}

}  // namespace moesaic
