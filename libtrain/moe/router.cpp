#include "moe/router.h"

#include <ATen/ops/bincount.h>
#include <ATen/ops/gather.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/topk.h>

#include "nn/ops.h"

namespace moesaic {

Routing Router::route(const ForwardContext& context, const at::Tensor& x_TD) const {
  const at::Tensor logits_TE = linear(context, weight_, nullptr, x_TD.to(context.precision.master));
  const at::Tensor p_TE = at::softmax(logits_TE, -1);
  const at::Tensor selected_TK =
      std::get<1>(at::topk(p_TE.detach(), options_.num_experts_per_tok, -1));
  at::Tensor weight_TK = at::gather(p_TE, 1, selected_TK);
  if (options_.norm_topk_prob) weight_TK = weight_TK.div(weight_TK.sum(-1, true));
  const at::Tensor count_E = at::bincount(selected_TK.flatten(), {}, options_.num_experts);
  return {weight_TK, selected_TK, {logits_TE, p_TE, selected_TK, count_E}};
}

}  // namespace moesaic
