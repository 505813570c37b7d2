// RouterProbe: what a router shows of its gradient where somebody looks (moe/gate_probe.h).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace moesaic {

class RouterProbe {
 public:
  virtual ~RouterProbe() = default;
  /// Whether every expert is to be run, so that the router can say what the dense gradient is.
  virtual bool wants_dense() const = 0;
  /// The logits themselves, as the task loss sees them: what comes back through them in backward is
  /// the task's gradient. `layer` counts the layers with experts; the logits are the products of
  /// the router's weight and x_TD.
  virtual at::Tensor watch(std::int64_t layer, const at::Tensor& logits_TE,
                           const at::Tensor& x_TD) = 0;
  /// In backward: the gradient that the logits would have with all experts chosen.
  virtual void add_dense(std::int64_t layer, const at::Tensor& dlogits_TE,
                         const at::Tensor& x_TD) = 0;
};

}  // namespace moesaic
