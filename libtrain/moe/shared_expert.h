// The expert that every token meets, beside those that the router chooses.
#pragma once

#include <ATen/ops/sigmoid.h>

#include <optional>

#include "nn/mlp.h"

namespace moesaic {

class SharedExpert {
 public:
  /// `gate` [1, D], where there is one: the output is scaled by sigmoid(gate x) (Qwen2-MoE).
  SharedExpert(Mlp mlp, std::optional<Linear> gate)
      : mlp_(std::move(mlp)), gate_(std::move(gate)) {}

  at::Tensor forward(const ForwardContext& context, const at::Tensor& x_TD) const {
    const at::Tensor y_TD = mlp_.forward(context, x_TD);
    return gate_ ? y_TD.mul(at::sigmoid(gate_->forward(context, x_TD))) : y_TD;
  }

 private:
  Mlp mlp_;
  std::optional<Linear> gate_;
};

}  // namespace moesaic
