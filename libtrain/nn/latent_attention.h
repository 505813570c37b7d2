// Multi-head latent attention (DeepSeek-AI 2024, arXiv 2405.04434, section 2.1): keys and values
// are expanded from one small latent vector a token; positions are in separate, rotated dimensions.
#pragma once

#include <optional>
#include <vector>

#include "nn/linear.h"
#include "nn/rotary.h"

namespace moesaic {

class LatentAttention {
 public:
  struct Options {
    std::int64_t num_heads = 0;
    std::int64_t kv_lora_rank = 0;
    std::int64_t qk_nope_head_dim = 0;
    std::int64_t qk_rope_head_dim = 0;
    std::int64_t v_head_dim = 0;
    double softmax_factor = 1;  // beside 1 / sqrt(query width)
    double norm_eps = 1e-6;     // of the norms of the latents
    int layer = 0;              // in a KvCache
  };
  struct Parameters {
    Linear q_proj;  // or q_b_proj, where queries have a latent
    std::optional<Linear> q_a_proj;
    const Parameter* q_a_layernorm = nullptr;
    Linear kv_a_proj_with_mqa;
    const Parameter& kv_a_layernorm;
    Linear kv_b_proj, o_proj;
  };

  LatentAttention(const Options& options, Parameters parameters)
      : options_(options), parameters_(std::move(parameters)) {}

  /// x_TD in the compute dtype -> [T, D].
  at::Tensor forward(const ForwardContext& context, const at::Tensor& x_TD,
                     const RotaryTable& rotary) const;

 private:
  double scale() const;
  at::Tensor queries(const ForwardContext& context, const at::Tensor& x_TD,
                     const RotaryTable& rotary) const;
  at::Tensor expanded(const ForwardContext& context, const at::Tensor& q, const at::Tensor& latent,
                      const at::Tensor& position_T1r) const;
  at::Tensor absorbed(const ForwardContext& context, const at::Tensor& q,
                      const at::Tensor& rows_L1c) const;
  at::Tensor absorbed_each(const ForwardContext& context, const at::Tensor& q,
                           const std::vector<at::Tensor>& seen) const;
  std::vector<at::Tensor> seen_rows(const ForwardContext& context, const at::Tensor& latent,
                                    const at::Tensor& position_T1r) const;

  Options options_;
  Parameters parameters_;
};

}  // namespace moesaic
