// TrainingRun: from the first step to the last one: restore, steps, evaluation, metrics,
// checkpoints.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/recipe.h"
#include "core/clock.h"
#include "data/left_out_data.h"
#include "engine/best_loss.h"
#include "engine/loss_spikes.h"
#include "engine/step_profiler.h"
#include "engine/stop_signal.h"
#include "engine/trainer.h"
#include "loss/validation.h"
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
  /// Where training stood; an imported checkpoint has weights alone.
  struct SavedTraining {
    std::string recipe;
    std::int64_t tokens = 0;
  };
  /// What has been waited for, since the construction.
  struct Waits {
    double sync_s = 0, checkpoint_s = 0;
  };

  static SavedTraining saved_training(const CheckpointInfo& info);
  void restore(const Options& options);
  /// Weights, state and position of a checkpoint.
  void load(const CheckpointInfo& info, const SavedTraining& training);
  /// Back to the last checkpoint, and past the batches of the step under way.
  void rewind(const StepReport& report);
  /// After a step that was skipped: Error(kRecipe) where no step can be right. Collective over
  /// world.
  void require_finite_weights(const StepReport& report) const;
  void tell_of_patience() const;
  /// Whether the loss of a step stands out. Local, equal on all ranks.
  void look_for_spike(const StepReport& report);
  void check_data(const CheckpointInfo& info, bool allow_changed) const;
  /// All steps that are left. True when a signal ended it.
  bool train(StopSignal& stop);
  /// Throws what a part keeps the next step from being begun with, once what is done is saved.
  void admit_next_step();
  /// One step with all that is due after it. True when the ranks agreed to stop.
  bool next_step(StopSignal& stop);
  void save();
  CheckpointContent content() const;
  LiveState live_state();
  bool is_due(std::int64_t every_steps) const;
  bool is_finished() const { return step_ >= parts_.max_steps || best_.is_over(); }
  bool keeps_best() const { return recipe_.checkpoint.best || recipe_.eval.patience > 0; }
  bool shows_losses() const { return !recipe_.privacy || recipe_.privacy->log_loss; }
  void log(const StepReport& report, const std::optional<Validation>& valid, double step_seconds);
  void set_times(double step_seconds, MetricsRow& row);

  Recipe recipe_;
  const RankContext& context_;
  TrainingParts parts_;
  Trainer trainer_;
  std::vector<std::unique_ptr<MetricsSink>> sinks_;
  std::int64_t step_ = 0;
  std::int64_t tokens_ = 0;  // target tokens so far
  std::int64_t saved_step_ = -1;
  std::string last_checkpoint_;  // path of the one that was saved or loaded last; "" = none
  BestLoss best_;
  LossSpikes spikes_;
  LeftOutData* data_ = nullptr;     // what parts_.train is
  std::int64_t skipped_ = 0;        // steps that were, since the last logged one
  std::int64_t logged_tokens_ = 0;  // at the last logged step
  Waits logged_waits_;              // at the last logged step
  Stopwatch since_logged_;
  std::optional<StepProfile> profile_;  // for the next row of metrics
};

}  // namespace moesaic
