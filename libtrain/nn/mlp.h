// The dense SwiGLU feed-forward network.
#pragma once

#include "nn/self_attention.h"
#include "nn/swiglu.h"

namespace moesaic {

class Mlp {
 public:
  Mlp(LinearParameters gate, LinearParameters up, LinearParameters down)
      : gate_(std::move(gate)), up_(std::move(up)), down_(std::move(down)) {}

  at::Tensor forward(const ForwardContext& context, const at::Tensor& x_TD) const {
    return down_.forward(context, swiglu(gate_.forward(context, x_TD), up_.forward(context, x_TD)));
  }
  void collect(ParameterSet& parameters) {
    gate_.collect(parameters);
    up_.collect(parameters);
    down_.collect(parameters);
  }

 private:
  LinearParameters gate_, up_, down_;
};

}  // namespace moesaic
