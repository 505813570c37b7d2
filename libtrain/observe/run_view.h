// RunView: what a run folder tells of a run, whatever state it is in. It only reads, so the run may
// go on, also on another machine that shares the folder.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/json.h"
#include "metrics/continual.h"
#include "observe/restart_log.h"
#include "observe/run_log.h"
#include "observe/run_metrics.h"

namespace moesaic {

class RunView {
 public:
  /// Error(kData) for a folder that is not there, or where no run has begun.
  explicit RunView(const std::string& folder);

  /// Reads what is new. What is damaged, or gone meanwhile, is in remarks().
  void update();

  const std::string& folder() const { return folder_; }
  /// The name of the folder.
  std::string name() const;
  const RunMetrics& metrics() const { return metrics_; }
  const RunLog& log() const { return log_; }
  const std::vector<Restart>& restarts() const { return restarts_.restarts; }
  /// Of tasks.json, and its content; nothing and null where there is none.
  const std::optional<TaskMatrix>& tasks() const { return tasks_; }
  const Json& tasks_file() const { return tasks_file_; }
  /// The text of recipe.yaml; "" = there is none.
  const std::string& recipe() const { return recipe_; }
  /// What is missing or damaged, a sentence each.
  std::vector<std::string> remarks() const;

  /// How many steps, or rounds, the run is to have; the caller finds it in the recipe.
  std::optional<std::int64_t> last_step;
  /// Whether its launcher starts it again after a failure; likewise.
  bool is_supervised = false;

  /// "runs, or was killed", "finished", "stopped", "failed", "failed, a restart is due"
  std::string state() const;
  bool has_ended() const;

 private:
  bool restart_is_due() const;

  std::string folder_;
  RunMetrics metrics_;
  RunLog log_;
  RestartLog restarts_;
  std::optional<TaskMatrix> tasks_;
  Json tasks_file_;
  std::string recipe_;
  std::vector<std::string> remarks_;
};

}  // namespace moesaic
