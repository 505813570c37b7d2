// Multi-head self-attention with rotary positions, grouped key/value heads and optional query/key
// norms.
#pragma once

#include <optional>

#include "nn/attention.h"
#include "nn/forward_context.h"
#include "nn/rotary.h"

namespace moesaic {

/// A weight with its optional bias.
struct LinearParameters {
  Parameter weight;
  std::optional<Parameter> bias;

  at::Tensor forward(const ForwardContext& context, const at::Tensor& x_TK) const;
  void collect(ParameterSet& parameters);
};

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
    LinearParameters q_proj, k_proj, v_proj, o_proj;
    std::optional<Parameter> q_norm, k_norm;  // [H d]: all heads together; [d]: each head
  };

  SelfAttention(const Options& options, Parameters parameters)
      : options_(options), parameters_(std::move(parameters)) {}

  /// x_TD in the compute dtype -> [T, D].
  at::Tensor forward(const ForwardContext& context, const at::Tensor& x_TD,
                     const RotaryTable& rotary) const;
  void collect(ParameterSet& parameters);

 private:
  at::Tensor project(const ForwardContext& context, const LinearParameters& projection,
                     const std::optional<Parameter>& norm, const at::Tensor& x_TD) const;
  at::Tensor attend(const ForwardContext& context, const at::Tensor& q, const at::Tensor& k,
                    const at::Tensor& v) const;

  Options options_;
  Parameters parameters_;
};

}  // namespace moesaic
