// Multi-head self-attention with rotary positions, grouped key/value heads and optional query/key
// norms.
#pragma once

#include "nn/attention.h"
#include "nn/linear.h"
#include "nn/rotary.h"

namespace moesaic {

class SelfAttention {
 public:
  struct Options {
    std::int64_t num_heads = 0;
    std::int64_t num_key_value_heads = 0;
    std::int64_t head_dim = 0;
    double norm_eps = 1e-6;  // of the query and key norms
    double clip_qkv = 0;     // clamp of projected q, k, v; 0 = off
    int layer = 0;           // in a KvCache
  };
  struct Parameters {
    Linear q_proj, k_proj, v_proj, o_proj;
    const Parameter* q_norm = nullptr;  // [H d]: all heads together; [d]: each head; nullptr: none
    const Parameter* k_norm = nullptr;
  };

  SelfAttention(const Options& options, Parameters parameters)
      : options_(options), parameters_(std::move(parameters)) {}

  /// x_TD in the compute dtype -> [T, D].
  at::Tensor forward(const ForwardContext& context, const at::Tensor& x_TD,
                     const RotaryTable& rotary) const;

 private:
  at::Tensor project(const ForwardContext& context, const Linear& projection, const Parameter* norm,
                     const at::Tensor& x_TD) const;
  at::Tensor attend(const ForwardContext& context, const at::Tensor& q, const at::Tensor& k,
                    const at::Tensor& v) const;

  Options options_;
  Parameters parameters_;
};

}  // namespace moesaic
