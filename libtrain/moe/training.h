// How the Mixture-of-Experts layers of a model are trained. Inference needs none of it: there a
// token goes to its experts, whatever their load, and nothing is random.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

namespace moesaic {

/// Where the router's gradient of the task loss comes from (moe/gate_gradient.h).
enum class GateGradient { kTopK, kDefaultMoe, kDenseMixer, kSparseMixer };

/// top_k | default_moe | dense_mixer | sparse_mixer
GateGradient gate_gradient_named(const std::string& name);

/// Limit of the tokens that an expert takes from one micro-batch (moe/capacity.h).
struct CapacityOptions {
  double factor = 0;         // 0 = dropless
  bool by_position = false;  // the last tokens are left out, instead of the least probable ones
  bool pad = false;          // an expert gets as many rows as it may take, the rest of them zeros
};

/// What a run brings to the layers with experts, made from the recipe's MoeOptions (make_moe.h).
struct MoeTraining {
  std::uint64_t seed = 0;   // of jitter and sampling
  double jitter_noise = 0;  // the router's input times uniform(1 - noise, 1 + noise); 0 = off
  GateGradient gate_gradient = GateGradient::kTopK;
  double sparse_mixer_eps = 0.1;
  at::Tensor expert_average_LED = {};  // default_moe: what each expert puts out on average
  CapacityOptions capacity = {};
  at::Tensor slot_LE = {};  // where experts lie (moe/placement.h); undefined: in order
};

}  // namespace moesaic
