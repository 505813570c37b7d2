// Dropout by the places of tokens: a draw is a function of (seed, step, name, example, position),
// so that no layout, packing order or recomputation changes it.
#pragma once

#include <cstdint>
#include <string>

#include "nn/forward_context.h"

namespace moesaic {

class Dropout {
 public:
  /// `share` of the values, in [0, 1), is left out; `name` is whose draws they are.
  Dropout(double share, std::uint64_t seed, std::string name)
      : share_(share), seed_(seed), name_(std::move(name)) {}

  /// In training: x_TK with some values zero and the others divided by 1 - share; else x_TK.
  /// place_T as in Batch. What is left out is drawn again in backward, not kept.
  at::Tensor apply(const ForwardContext& context, const at::Tensor& x_TK,
                   const at::Tensor& place_T) const;

 private:
  double share_;
  std::uint64_t seed_;
  std::string name_;
};

}  // namespace moesaic
