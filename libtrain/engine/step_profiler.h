// StepProfiler: records the steps that log.profile_steps asks for. Steps that follow each other are
// one window; when a window is over, its trace is written and its numbers are printed
// (docs/profiling.md).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/span_recording.h"
#include "observe/tracer.h"
#include "parallel/rank_context.h"

namespace moesaic {

/// Seconds of a step, averaged over the window, on the rank with most of each.
struct StepProfile {
  double step_s = 0;
  double wait_s = 0;  // blocked in collectives
  double data_s = 0;
  double log_s = 0;
};

class StepProfiler {
 public:
  struct Options {
    std::vector<std::int64_t> steps;  // in any order
    std::string run_dir;
    std::int64_t first_step = 1;  // of this job
    std::int64_t last_step = 1;
  };

  /// Warns of steps that this job does not run.
  StepProfiler(const RankContext& context, const Options& options);

  void before(std::int64_t step);
  /// Collective over world when a window is over; `last`: no step follows, equal on all ranks.
  std::optional<StepProfile> after(std::int64_t step, bool last);

 private:
  bool wanted(std::int64_t step) const;
  StepProfile finish(std::int64_t last_step);
  StepProfile measured(std::int64_t steps, double seconds) const;
  void report(const StepProfile& profile, std::int64_t last_step, double seconds) const;

  const RankContext& context_;
  std::vector<std::int64_t> steps_;  // sorted, of this job
  std::string run_dir_;
  std::shared_ptr<Tracer> tracer_;  // of the window under way
  std::unique_ptr<SpanRecording> recording_;
  std::int64_t first_step_ = 0;  // of the window
  std::int64_t begin_ns_ = 0;
};

}  // namespace moesaic
