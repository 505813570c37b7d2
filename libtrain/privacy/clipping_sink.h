// ClippingSink: hands on each unit's gradient with its norm bounded. The gradients of all uses that
// a unit makes of all parameters, its rows on other ranks' experts included, are one gradient with
// one norm and one factor.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "data/batch.h"
#include "nn/gradient_sink.h"
#include "parallel/rank_context.h"
#include "privacy/clipping.h"
#include "privacy/unit_norms.h"

namespace moesaic {

/// One backward pass (book-keeping, Bu et al. 2022, arXiv 2210.00038): what backward hands over is
/// kept until the round ends, the norms are computed and added up over the expert group, and then
/// the same rows go on with the weight of their unit. Passing pieces are not kept: their norms are
/// taken as they pass where the weight has no other use, and they are asked for again. An example of the batch is a unit: its rows are those of one micro-batch, and the
/// units of a micro-batch ascend from one row to the next.
class ClippingSink : public GradientSink {
 public:
  struct Options {
    MatmulKernel matmul = MatmulKernel::kMkl;
    at::ScalarType dtype = at::kFloat;  // of the gradients
    /// What is handed over is the gradient of a unit's loss divided by this.
    double divisor = 1;
    ClippingRule rule;
  };

  /// `parameters` must outlive the sink.
  ClippingSink(const ParameterSet& parameters, const RankContext& context, const Options& options,
               std::unique_ptr<GradientSink> sink);

  /// The units of this rank's micro-batch in the round under way; once a round, before end().
  void expect(const Batch& batch);

  void begin(const Round& round) override;
  void open(const Parameter& parameter) override;
  void add(const ParameterUse& use) override;
  void close(const Parameter& parameter, const HandOverAgain& again) override;
  void end() override;
  double wait_seconds() const override { return sink_->wait_seconds(); }

  /// Before a step. The bound of adaptive clipping moves.
  void set_clip_norm(double clip_norm) { options_.rule.clip_norm = clip_norm; }
  /// Of this rank, in the step so far: its units, and those whose norm was at most clip_norm.
  std::int64_t units() const { return units_; }
  std::int64_t units_below() const { return units_below_; }
  /// Norms of the last round, of the units of this expert group: float64 [U], by number in the
  /// step.
  const at::Tensor& norms() const { return norm_U_; }

 private:
  struct State {
    int open = 0;                     // operations
    std::vector<ParameterUse> whole;  // what was handed over and stays
    std::vector<HandOverAgain> again;
    std::unique_ptr<UnitNormStream> stream;  // of the passing pieces of the first operation
    SquaredNorms streamed;                 // what it found
  };
  State& at(const Parameter& parameter) {
    return states_.at(static_cast<std::size_t>(parameter.index));
  }
  /// Of the weight whose pieces pass.
  UnitNormStream& stream_of(const Parameter& parameter);
  /// One more than the highest number of this rank's units.
  std::int64_t own_units() const;
  /// float64 [U, G], over the expert group. Collective over it.
  at::Tensor squared_norms();
  /// Those of one parameter, of this rank's rows.
  void add_norms(const Parameter& parameter, SquaredNorms& squares);
  void count_units();
  /// What the rows go on with: `factor_U` of the parameter's group.
  void hand_on(const Parameter& parameter, const at::Tensor& factor_U);

  const ParameterSet& parameters_;
  Communicator expert_;
  Options options_;
  ClippingGroups groups_;
  std::unique_ptr<GradientSink> sink_;
  std::vector<State> states_;      // by position in the ParameterSet
  at::Tensor gradient_;            // flat, as large as the largest weight; zeros
  std::vector<std::int64_t> own_;  // units of this rank in the round
  at::Tensor norm_U_;
  std::int64_t units_ = 0, units_below_ = 0;
};

}  // namespace moesaic
