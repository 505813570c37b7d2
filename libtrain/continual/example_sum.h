// ExampleSum: the sum over examples of the squares (or absolute values) of the gradient that each
// of them gives a weight.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <vector>

#include "nn/gradient_sink.h"

namespace moesaic {

/// What is summed of each value of an example's gradient.
enum class Magnitude { kSquare, kAbsolute };

/// Adds to `sum`. An example's gradient is built in `gradient`, of the same shape, which is zero
/// before and afterwards; where an example has one row alone it is not: the square of a product of
/// two values is the product of their squares, so that all such rows are one product.
struct ExampleSum {
  Magnitude magnitude = Magnitude::kSquare;
  MatmulKernel kernel = MatmulKernel::kMkl;
  at::Tensor sum;
  at::Tensor gradient;

  /// All uses that the examples make of the weight, none of groups. -> how many examples.
  std::int64_t add(const std::vector<ParameterUse>& uses) const;
  /// Counts the gradient of an example, which is complete, and makes it zero.
  void take_gradient() const;
};

/// The same where the rows come in pieces that are gone after the call: example after example, in
/// ascending order.
class ExampleStream {
 public:
  /// `whole`: the other uses of the weight, which stay until the end.
  explicit ExampleStream(ExampleSum to, const std::vector<ParameterUse>& whole = {});

  void add(const ParameterUse& piece);
  /// All pieces have come; others may begin. -> whether there were any.
  bool finish();

 private:
  void complete();

  ExampleSum to_;
  std::map<std::int64_t, std::vector<ParameterUse>> whole_;  // by example, those not yet complete
  std::int64_t current_ = -1;                                // example; -1 = none yet
};

}  // namespace moesaic
