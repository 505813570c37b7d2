#include "nn/latent_attention.h"

#include <ATen/ops/cat.h>

#include <cmath>

#include "nn/norm.h"
#include "nn/ops.h"

namespace moesaic {

// -> [T, heads, nope + rope]
at::Tensor LatentAttention::queries(const ForwardContext& context, const at::Tensor& x_TD,
                                    const RotaryTable& rotary) const {
  const Options& o = options_;
  at::Tensor source = x_TD;
  if (parameters_.q_a_proj) {
    source = rms_norm(context, *parameters_.q_a_layernorm,
                      parameters_.q_a_proj->forward(context, x_TD), o.norm_eps, x_TD.scalar_type());
  }
  const at::Tensor q =
      parameters_.q_proj.forward(context, source)
          .view({x_TD.size(0), o.num_heads, o.qk_nope_head_dim + o.qk_rope_head_dim});
  return at::cat({q.narrow(2, 0, o.qk_nope_head_dim),
                  rotate(q.narrow(2, o.qk_nope_head_dim, o.qk_rope_head_dim), rotary)},
                 2);
}

at::Tensor LatentAttention::forward(const ForwardContext& context, const at::Tensor& x_TD,
                                    const RotaryTable& rotary) const {
  const Options& o = options_;
  const std::int64_t tokens = x_TD.size(0);
  const at::Tensor q = queries(context, x_TD, rotary);
  const at::Tensor compressed = parameters_.kv_a_proj_with_mqa.forward(context, x_TD);
  const at::Tensor latent =
      rms_norm(context, parameters_.kv_a_layernorm, compressed.narrow(1, 0, o.kv_lora_rank),
               o.norm_eps, x_TD.scalar_type());
  const at::Tensor position_T1r =
      rotate(compressed.narrow(1, o.kv_lora_rank, o.qk_rope_head_dim).unsqueeze(1), rotary);
  const at::Tensor kv = parameters_.kv_b_proj.forward(context, latent)
                            .view({tokens, o.num_heads, o.qk_nope_head_dim + o.v_head_dim});
  const at::Tensor k = at::cat({kv.narrow(2, 0, o.qk_nope_head_dim),
                                position_T1r.expand({tokens, o.num_heads, o.qk_rope_head_dim})},
                               2);
  const at::Tensor v = kv.narrow(2, o.qk_nope_head_dim, o.v_head_dim);
  const double scale = o.softmax_factor / std::sqrt(static_cast<double>(q.size(2)));
  const at::Tensor y = causal_attention(q, k, v, context.batch.sequence_offsets, scale);
  return parameters_.o_proj.forward(context, y.reshape({tokens, o.num_heads * o.v_head_dim}));
}

void LatentAttention::collect(ParameterSet& parameters) {
  if (parameters_.q_a_proj) {
    parameters_.q_a_proj->collect(parameters);
    parameters.add(*parameters_.q_a_layernorm);
  }
  parameters_.q_proj.collect(parameters);
  parameters_.kv_a_proj_with_mqa.collect(parameters);
  parameters.add(parameters_.kv_a_layernorm);
  parameters_.kv_b_proj.collect(parameters);
  parameters_.o_proj.collect(parameters);
}

}  // namespace moesaic
