#include "nn/self_attention.h"

#include <ATen/ops/clamp.h>

#include <cmath>

#include "nn/norm.h"

namespace moesaic {

// -> [T, heads, head_dim]
at::Tensor SelfAttention::project(const ForwardContext& context, const Linear& projection,
                                  const Parameter* norm, const at::Tensor& x_TD) const {
  at::Tensor y = projection.forward(context, x_TD);
  if (norm != nullptr) {
    const std::int64_t width = norm->tensor.size(0);
    const at::Tensor rows = y.view({y.numel() / width, width});
    y = rms_norm(context, *norm, rows, options_.norm_eps, x_TD.scalar_type()).view(y.sizes());
  }
  if (options_.clip_qkv > 0) y = at::clamp(y, -options_.clip_qkv, options_.clip_qkv);
  return y.view({x_TD.size(0), y.size(1) / options_.head_dim, options_.head_dim});
}

at::Tensor SelfAttention::attend(const ForwardContext& context, const at::Tensor& q,
                                 const at::Tensor& k, const at::Tensor& v) const {
  const double scale = 1.0 / std::sqrt(static_cast<double>(options_.head_dim));
  if (context.cache != nullptr) {
    const KvCache::Rows all = context.cache->append(options_.layer, k, v);
    if (all.keys_LGd.size(0) > q.size(0))
      return attention_to_earlier(q, all.keys_LGd, all.values_LGw, scale, context.precision.master);
  }
  return causal_attention(q, k, v, context.batch.attention_offsets, scale);
}

at::Tensor SelfAttention::forward(const ForwardContext& context, const at::Tensor& x_TD,
                                  const RotaryTable& rotary) const {
  const at::Tensor q =
      rotate(project(context, parameters_.q_proj, parameters_.q_norm, x_TD), rotary);
  const at::Tensor k =
      rotate(project(context, parameters_.k_proj, parameters_.k_norm, x_TD), rotary);
  const at::Tensor v = project(context, parameters_.v_proj, nullptr, x_TD);
  const at::Tensor y = attend(context, q, k, v);
  return parameters_.o_proj.forward(context, y.view({x_TD.size(0), q.size(1) * q.size(2)}));
}

}  // namespace moesaic
