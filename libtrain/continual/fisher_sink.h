// FisherSink: the sum over examples of the square of each one's gradient, of every trainable
// parameter, from one backward pass of a batch. The gradients of all uses that an example makes of
// a parameter are added up before the square: tied weights, the output head of several depths, and
// an expert's rows are one gradient each.
#pragma once

#include <optional>
#include <vector>

#include "continual/example_sum.h"
#include "nn/gradient_sink.h"

namespace moesaic {

/// The gradient of an example's loss must be all of its rows', on one rank and in one round. Uses
/// of a parameter by several operations are kept until the last of them is closed; passing ones are
/// asked for again then. What passes comes example after example.
class FisherSink : public GradientSink {
 public:
  struct Options {
    Magnitude magnitude = Magnitude::kSquare;
    MatmulKernel matmul = MatmulKernel::kMkl;
    at::ScalarType dtype = at::kFloat;  // of the sums, whatever the weights are stored in
  };

  /// `parameters` must outlive the sink.
  FisherSink(const ParameterSet& parameters, const Options& options);

  void open(const Parameter& parameter) override;
  void add(const ParameterUse& use) override;
  void close(const Parameter& parameter, const HandOverAgain& again) override;
  /// A parameter that nothing completed counts with what was handed over. Local.
  void end() override;

  /// Makes the sums those over the ranks that hold the same values. Once, after the last round.
  /// Collective over world and expert_data.
  void sum_over_ranks(const RankContext& context);

  /// Shaped like the parameter's tensor; undefined where it is frozen.
  const at::Tensor& sum(const Parameter& parameter) const { return at(parameter).sum; }
  /// kExpert: how many examples have reached each of this rank's experts, over all rounds; int64
  /// [e].
  const at::Tensor& reached(const Parameter& parameter) const { return at(parameter).reached; }

 private:
  struct State {
    at::Tensor sum, reached;
    int open = 0;                     // operations
    std::vector<ParameterUse> whole;  // what was handed over and stays
    std::vector<HandOverAgain> again;
    std::optional<ExampleStream> stream;  // where the only operation passes
  };
  const State& at(const Parameter& parameter) const {
    return states_.at(static_cast<std::size_t>(parameter.index));
  }
  State& at(const Parameter& parameter) {
    return states_.at(static_cast<std::size_t>(parameter.index));
  }
  ExampleSum into(const at::Tensor& sum) const;
  /// All uses of the round are known.
  void finish(State& state);
  void add_groups(State& state);

  const ParameterSet& parameters_;
  Options options_;
  std::vector<State> states_;  // by position in the ParameterSet
  at::Tensor gradient_;        // flat, as large as the largest weight; zeros
};

}  // namespace moesaic
