// RankTimer: how long each rank takes for the first micro-batch of a step, from its data to the end
// of its backward pass, and how long of it it waits for others. A rank that takes longer than the
// others is named in the log and in the metrics.
#pragma once

#include <cstdint>
#include <vector>

#include "core/clock.h"
#include "engine/slow_ranks.h"
#include "loss/step_part.h"

namespace moesaic {

class RankTimer : public StepPart {
 public:
  static constexpr std::int64_t kWindow = 5;  // steps; the median of them counts

  /// `ratio`: parallel.straggler_ratio. Ranks that compute on a device are not told apart: the host
  /// is not blocked where they wait.
  RankTimer(double ratio, const RankContext& context) : slow_(ratio), world_(context.world) {}

  void before(const Step& step) override;
  void before_forward(ForwardContext& context) override;
  void after_forward(const ModelOutput& output) override;
  void gradient_done(const RankContext& context, const Step& step) override;
  /// Collective over world after each window.
  void finished(const RankContext& context, const Step& step) override;
  /// "straggler_rank": the slowest of the ranks that are named, if there is one; "rank_compute_s"
  /// and "rank_wait_s" by rank, of the last window, unless there are very many.
  void report(MetricsRow& row) const override;

 private:
  void end_round();
  RankTimes window() const;
  void tell(const RankContext& context, const Step& step, const std::vector<int>& ranks) const;

  SlowRanks slow_;
  Communicator world_;
  Stopwatch watch_;            // of the step
  double waited_before_ = 0;   // before it
  std::int64_t round_ = 0;     // of the step, from 1
  bool has_batch_ = false;     // in its first round
  std::vector<double> own_s_;  // of the steps of the window
  std::vector<double> wait_s_;
  double expert_rows_ = 0;        // of the window
  std::vector<RankTimes> times_;  // of all ranks, in the last window
};

}  // namespace moesaic
