// GradientSink: where the gradients of parameters go. Every parameterised operation hands over what
// its gradient is made of; a sink decides what to do with it (add it up, clip it per example,
// square it ...).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "nn/matmul.h"
#include "parallel/gradient_buckets.h"
#include "parallel/parameter_set.h"

namespace moesaic {

/// One use of one parameter in a forward pass. R rows of the operation.
struct ParameterUse {
  enum class Kind {
    kLinear,   // input [R, K], gradient [R, N]; weight [N, K]
    kGrouped,  // as kLinear for each expert e on rows [offsets[e], offsets[e+1]); weight [e, N, K]
    kEmbedding,  // input ids [R], gradient [R, D]; weight [V, D]
    kScale,      // input [R, D] times factor [R] is what was scaled, gradient [R, D]; weight [D]
    kBias,       // no input; gradient [R, N]; weight [N]
  };
  Kind kind = Kind::kLinear;
  const Parameter& parameter;
  at::Tensor input;
  at::Tensor output_gradient;
  at::Tensor example_R;               // int64 [R]: the example of each row
  std::vector<std::int64_t> offsets;  // kGrouped only: local experts + 1
  at::Tensor factor_R;                // kScale only
  bool may_wait = false;              // the tensors stay as they are after the call
};

class GradientSink {
 public:
  virtual ~GradientSink() = default;
  /// Forward: `parameter` is used once more in this pass.
  virtual void expect(const Parameter& parameter) = 0;
  /// Backward: one use is done.
  virtual void accumulate(const ParameterUse& use) = 0;
  /// A good time to do what was put off: communication is under way, or the backward pass is over.
  virtual void catch_up() {}
};

/// Sums gradients into the flat buckets and reports parameters whose last use of the pass is done,
/// so that a bucket's reduction starts while backward goes on.
class AccumulatingSink : public GradientSink {
 public:
  AccumulatingSink(const ParameterSet& parameters, GradientBuckets& buckets, MatmulKernel kernel);

  void expect(const Parameter& parameter) override;
  void accumulate(const ParameterUse& use) override;

 private:
  GradientBuckets& buckets_;
  MatmulKernel kernel_;
  std::vector<int> open_uses_;  // by parameter index
};

/// Adds the gradient of one use to `gradient` (shape of the local parameter). Calls `progress`,
/// unless empty, after each expert.
void add_gradient(const ParameterUse& use, at::Tensor gradient, MatmulKernel kernel,
                  const std::function<void()>& progress = {});

}  // namespace moesaic
