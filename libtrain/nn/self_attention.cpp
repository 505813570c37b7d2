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
  const std::vector<std::int64_t>& offsets = context.batch.attention_offsets;
  std::vector<KvCache::Rows> seen;
  bool has_earlier = false;
  for (std::size_t b = 0; b < context.caches.size(); ++b) {
    const std::int64_t begin = offsets[b], rows = offsets[b + 1] - begin;
    has_earlier = has_earlier || context.caches[b]->length() > 0;
    seen.push_back(context.caches[b]->append(options_.layer, k.narrow(0, begin, rows),
                                             v.narrow(0, begin, rows)));
  }
  return has_earlier ? attention_to_earlier(q, seen, offsets, scale, context.precision.master)
                     : causal_attention(q, k, v, offsets, scale);
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
