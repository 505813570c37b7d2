// The dense SwiGLU feed-forward network.
#pragma once

#include "nn/linear.h"
#include "nn/swiglu.h"

namespace moesaic {

class Mlp {
 public:
  Mlp(Linear gate, Linear up, Linear down)
      : gate_(std::move(gate)), up_(std::move(up)), down_(std::move(down)) {}

  at::Tensor forward(const ForwardContext& context, const at::Tensor& x_TD) const {
    return down_.forward(context, swiglu(gate_.forward(context, x_TD), up_.forward(context, x_TD)));
  }

 private:
  Linear gate_, up_, down_;
};

}  // namespace moesaic
