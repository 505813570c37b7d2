// GradientSink: where the gradients of parameters go. Every parameterised operation hands over what
// its gradient is made of; a sink decides what to do with it (add it up, clip it per example,
// square it ...).
//
// A step has rounds. In each, forward opens a parameter once for each operation that uses it, and
// backward hands over that operation's uses, in any number of pieces, and closes it. Frozen
// parameters are not opened unless the sink asks for them.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "nn/group_offsets.h"
#include "nn/matmul.h"
#include "parallel/gradient_buckets.h"
#include "parallel/parameter_set.h"

namespace moesaic {

/// One piece of what an operation's gradient is made of. R rows of the operation.
struct ParameterUse {
  enum class Kind {
    kLinear,     // input [R, K], gradient [R, N]; weight [N, K]
    kGrouped,    // as kLinear for each expert on the rows of its group; weight [e, N, K]
    kEmbedding,  // input ids [R], gradient [R, D]; weight [V, D]
    kScale,      // input [R, D] times factor [R] is what was scaled, gradient [R, D]; weight [D]
    kBias,       // no input; gradient [R, N]; weight [N], or with offsets [e, N]
  };
  Kind kind = Kind::kLinear;
  const Parameter& parameter;
  at::Tensor input;
  at::Tensor output_gradient;
  at::Tensor example_R;       // int64 [R]: the example of each row
  GroupOffsets offsets = {};  // kGrouped, kBias [e, N]: a group for each local expert
  at::Tensor factor_R = {};   // kScale only
  /// The tensors are gone after the call; otherwise they stay as they are until the round ends.
  bool passing = false;
  at::Tensor weight_R = {};  // what each row counts in add_gradient(); undefined = 1

  /// Values of the rows that it keeps alive.
  std::int64_t numel() const {
    return output_gradient.numel() + (input.defined() ? input.numel() : 0);
  }
};

/// Hands over an operation's passing uses once more, computed again; to be called before the round
/// ends.
using HandOverAgain = std::function<void(const std::function<void(const ParameterUse&)>& take)>;

/// The micro-batches that all ranks compute at the same time.
struct Round {
  std::int64_t index = 0;  // within the step
  bool last = true;        // of the step
};

class GradientSink {
 public:
  virtual ~GradientSink() = default;
  virtual void begin(const Round& /*round*/) {}
  /// Whether it is to be opened. Of frozen ones a sink may ask for those of linear maps.
  virtual bool wants(const Parameter& parameter) const { return parameter.trainable; }
  /// Forward: an operation uses `parameter`.
  virtual void open(const Parameter& parameter) = 0;
  /// Backward: a piece of an operation that was opened.
  virtual void add(const ParameterUse& use) = 0;
  /// Backward: an operation has handed over all its pieces. `again`: those that were passing.
  virtual void close(const Parameter& parameter, const HandOverAgain& again = {}) = 0;
  /// A good time to do what was put off: communication is under way.
  virtual void catch_up() {}
  /// The backward pass of the round is over: nothing is put off any longer. After the end of the
  /// last round the sink's result is complete. Collective over world.
  virtual void end() {}
  /// Time that end() spent waiting for others, since the construction.
  virtual double wait_seconds() const { return 0; }
};

/// Hands everything on to another sink, which it does not own: what sinks before a sink do unless
/// they say otherwise.
class PassingSink : public GradientSink {
 public:
  explicit PassingSink(GradientSink& next) : next_(next) {}

  void begin(const Round& round) override { next_.begin(round); }
  bool wants(const Parameter& parameter) const override { return next_.wants(parameter); }
  void open(const Parameter& parameter) override { next_.open(parameter); }
  void add(const ParameterUse& use) override { next_.add(use); }
  void close(const Parameter& parameter, const HandOverAgain& again) override {
    next_.close(parameter, again);
  }
  void catch_up() override { next_.catch_up(); }
  void end() override { next_.end(); }
  double wait_seconds() const override { return next_.wait_seconds(); }

 protected:
  GradientSink& next_;
};

/// Sums gradients into flat buckets and reports parameters whose last operation of the round is
/// closed, so that a bucket's reduction starts while backward goes on.
class AccumulatingSink : public GradientSink {
 public:
  AccumulatingSink(const ParameterSet& parameters, const RankContext& context, MatmulKernel kernel,
                   const GradientBuckets::Options& buckets = {});

  void begin(const Round& round) override;
  void open(const Parameter& parameter) override;
  void add(const ParameterUse& use) override;
  void close(const Parameter& parameter, const HandOverAgain& again) override;
  void end() override;
  double wait_seconds() const override { return buckets_.wait_seconds(); }

  /// Views of the sums: the gradient of the step over all ranks once its last round has ended,
  /// until the next one begins. The optimizer leaves zeros.
  Gradients gradients() const { return buckets_.gradients(parameters_); }
  /// Where they are spread: brings the parameters that other ranks have updated. Collective over
  /// world and expert_data.
  void gather_parameters() { buckets_.gather(parameters_); }

 private:
  const ParameterSet& parameters_;
  GradientBuckets buckets_;
  MatmulKernel kernel_;
  Round round_;
  std::vector<int> open_;  // operations, by parameter index
};

/// Adds the gradient of one use to `gradient` (shape of the local parameter). Calls `progress`,
/// unless empty, after each expert.
void add_gradient(const ParameterUse& use, at::Tensor gradient, MatmulKernel kernel,
                  const std::function<void()>& progress = {});

}  // namespace moesaic
