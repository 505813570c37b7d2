// TrainingRun: from the first step to the last one: restore, steps, evaluation, metrics,
// checkpoints.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/recipe.h"
#include "core/clock.h"
#include "engine/step_profiler.h"
#include "engine/stop_signal.h"
#include "engine/trainer.h"
#include "observe/metrics.h"
#include "store/checkpoint.h"

namespace moesaic {

class TrainingRun {
 public:
  struct Options {
    std::string resume;  // "" = from the start | "auto" | path of a checkpoint or run folder
    bool allow_changed_data = false;  // resuming, though the data are not those of the checkpoint
  };

  /// Collective over world: assembles the parts and restores a checkpoint.
  TrainingRun(const Recipe& recipe, const RankContext& context, const Options& options);
  /// As above, from parts that are there.
  TrainingRun(const Recipe& recipe, const RankContext& context, const Options& options,
              TrainingParts parts);

  /// Where the rows of metrics go; the chief's sinks. `step()` of a resumed run says which rows are
  /// kept.
  void add_sink(std::unique_ptr<MetricsSink> sink) { sinks_.push_back(std::move(sink)); }

  /// Finished steps so far, and the last one.
  std::int64_t step() const { return step_; }
  std::int64_t max_steps() const { return parts_.max_steps; }

  /// Trains to the last step. Collective over world. Returns the exit code: 0, or kExitStopped
  /// after a signal.
  int run(StopSignal& stop);

 private:
  /// What has been waited for, since the construction.
  struct Waits {
    double sync_s = 0, checkpoint_s = 0;
  };

  void restore(const Options& options);
  void check_data(const CheckpointInfo& info, bool allow_changed) const;
  /// All steps that are left. True when a signal ended it.
  bool train(StopSignal& stop);
  /// One step with all that is due after it. True when the ranks agreed to stop.
  bool next_step(StopSignal& stop);
  void save();
  CheckpointContent content() const;
  LiveState live_state();
  bool is_due(std::int64_t every_steps) const;
  void log(const StepReport& report, std::optional<double> valid_loss, double step_seconds);
  void set_times(double step_seconds, MetricsRow& row);

  Recipe recipe_;
  const RankContext& context_;
  TrainingParts parts_;
  Trainer trainer_;
  std::vector<std::unique_ptr<MetricsSink>> sinks_;
  std::int64_t step_ = 0;
  std::int64_t tokens_ = 0;  // target tokens so far
  std::int64_t saved_step_ = -1;
  std::int64_t logged_tokens_ = 0;  // at the last logged step
  Waits logged_waits_;              // at the last logged step
  Stopwatch since_logged_;
  std::optional<StepProfile> profile_;  // for the next row of metrics
};

}  // namespace moesaic
