#include "nn/latent_attention.h"

#include <ATen/ops/bmm.h>
#include <ATen/ops/cat.h>

#include <cmath>

#include "core/error.h"
#include "nn/attention.h"
#include "nn/norm.h"

namespace moesaic {

double LatentAttention::scale() const {
  const std::int64_t width = options_.qk_nope_head_dim + options_.qk_rope_head_dim;
  return options_.softmax_factor / std::sqrt(static_cast<double>(width));
}

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

// Keys and values of every head, made from the latents of this batch -> [T, heads, value].
at::Tensor LatentAttention::expanded(const ForwardContext& context, const at::Tensor& q,
                                     const at::Tensor& latent,
                                     const at::Tensor& position_T1r) const {
  const Options& o = options_;
  const std::int64_t tokens = q.size(0);
  const at::Tensor kv = parameters_.kv_b_proj.forward(context, latent)
                            .view({tokens, o.num_heads, o.qk_nope_head_dim + o.v_head_dim});
  const at::Tensor k = at::cat({kv.narrow(2, 0, o.qk_nope_head_dim),
                                position_T1r.expand({tokens, o.num_heads, o.qk_rope_head_dim})},
                               2);
  const at::Tensor v = kv.narrow(2, o.qk_nope_head_dim, o.v_head_dim);
  return causal_attention(q, k, v, context.batch.attention_offsets, scale());
}

// The same from latents alone, which are one key and value for all heads: kv_b_proj is applied to
// queries and results (section 2.1.2 there). rows_L1c: latents and rotated positions.
at::Tensor LatentAttention::absorbed(const ForwardContext& context, const at::Tensor& q,
                                     const at::Tensor& rows_L1c) const {
  const Options& o = options_;
  MOESAIC_ASSERT(parameters_.kv_b_proj.bias() == nullptr);
  const at::Tensor w_Hnc =
      parameters_.kv_b_proj.matrix(context, q.scalar_type())
          .view({o.num_heads, o.qk_nope_head_dim + o.v_head_dim, o.kv_lora_rank});
  const at::Tensor to_latent = w_Hnc.narrow(1, 0, o.qk_nope_head_dim),
                   to_value = w_Hnc.narrow(1, o.qk_nope_head_dim, o.v_head_dim);
  const at::Tensor asked =
      at::bmm(q.narrow(2, 0, o.qk_nope_head_dim).transpose(0, 1), to_latent).transpose(0, 1);
  const at::Tensor asked_THc =
      at::cat({asked, q.narrow(2, o.qk_nope_head_dim, o.qk_rope_head_dim)}, 2);
  const KvCache::Rows seen[] = {{rows_L1c, rows_L1c.narrow(2, 0, o.kv_lora_rank)}};
  const at::Tensor found_THc = attention_to_earlier(asked_THc, seen, {0, asked_THc.size(0)},
                                                    scale(), context.precision.master);
  return at::bmm(found_THc.transpose(0, 1), to_value.transpose(1, 2)).transpose(0, 1);
}

// Each sequence as if it were alone.
at::Tensor LatentAttention::absorbed_each(const ForwardContext& context, const at::Tensor& q,
                                          const std::vector<at::Tensor>& seen) const {
  const std::vector<std::int64_t>& offsets = context.batch.attention_offsets;
  std::vector<at::Tensor> parts;
  for (std::size_t b = 0; b < seen.size(); ++b)
    parts.push_back(
        absorbed(context, q.narrow(0, offsets[b], offsets[b + 1] - offsets[b]), seen[b]));
  return parts.size() == 1 ? parts.front() : at::cat(parts);
}

// Appends to the caches -> the rows of each sequence; none where no sequence has earlier ones.
std::vector<at::Tensor> LatentAttention::seen_rows(const ForwardContext& context,
                                                   const at::Tensor& latent,
                                                   const at::Tensor& position_T1r) const {
  if (context.caches.empty()) return {};
  const at::Tensor rows_T1c = at::cat({latent.unsqueeze(1), position_T1r}, 2);
  const std::vector<std::int64_t>& offsets = context.batch.attention_offsets;
  std::vector<at::Tensor> seen;
  bool has_earlier = false;
  for (std::size_t b = 0; b < context.caches.size(); ++b) {
    KvCache& cache = *context.caches[b];
    has_earlier = has_earlier || cache.length() > 0;
    seen.push_back(
        cache.append(options_.layer, rows_T1c.narrow(0, offsets[b], offsets[b + 1] - offsets[b])));
  }
  return has_earlier ? seen : std::vector<at::Tensor>{};
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
  const std::vector<at::Tensor> seen = seen_rows(context, latent, position_T1r);
  const at::Tensor y =
      seen.empty() ? expanded(context, q, latent, position_T1r) : absorbed_each(context, q, seen);
  return parameters_.o_proj.forward(context, y.reshape({tokens, o.num_heads * o.v_head_dim}));
}

}  // namespace moesaic
