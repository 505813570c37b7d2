#include "observe/run_view.h"

#include "core/fs.h"
#include "core/path.h"
#include "metrics/task_file.h"

namespace moesaic {
namespace {

constexpr std::uint64_t kLongestRecipe = 1U << 20;

std::string metrics_file(const std::string& folder) { return folder + "/metrics.jsonl"; }

void require_run(const std::string& folder) {
  MOESAIC_CHECK(path_exists(folder), ErrorKind::kData, "{}: there is no such run folder", folder);
  MOESAIC_CHECK(is_folder(folder), ErrorKind::kData, "{} is no run folder but a file", folder);
  if (is_file(folder + "/recipe.yaml") || is_file(metrics_file(folder))) return;
  throw Error(ErrorKind::kData,
              format("{} is no run folder: neither recipe.yaml nor metrics.jsonl is in it", folder),
              "give the run_dir of a recipe, as runs/NAME");
}

}  // namespace

RunView::RunView(const std::string& folder) : folder_(folder), metrics_(metrics_file(folder)) {
  require_run(folder);
  update();
}

void RunView::update() {
  remarks_.clear();
  const auto attempt = [this](const auto& read) {
    try {
      read();
    } catch (const Error& error) {
      remarks_.push_back(error.what());
    }
  };
  attempt([this] { metrics_.update(); });
  attempt([this] {
    const std::string path = folder_ + "/recipe.yaml";
    recipe_ = is_file(path) ? read_file(path, ErrorKind::kData, kLongestRecipe) : "";
  });
  attempt([this] {
    const std::string path = folder_ + "/tasks.json";
    tasks_.reset();
    tasks_file_ = Json();
    if (!is_file(path)) return;
    tasks_ = read_task_matrix(path);
    tasks_file_ = read_json(path);
  });
  attempt([this] {
    restarts_ = {};
    restarts_ = read_restarts(folder_);
  });
  log_ = read_run_log(folder_);
}

std::string RunView::name() const { return file_name(absolute_path(folder_)); }

std::vector<std::string> RunView::remarks() const {
  std::vector<std::string> all = remarks_;
  all.insert(all.end(), restarts_.remarks.begin(), restarts_.remarks.end());
  for (std::string& remark : metrics_.remarks()) all.push_back(std::move(remark));
  return all;
}

bool RunView::restart_is_due() const {
  return is_supervised && log_.end == RunLog::End::kFailed && !log_.given_up;
}

bool RunView::has_ended() const {
  if (restart_is_due()) return false;
  return log_.end != RunLog::End::kNone || (last_step && metrics_.newest().step >= *last_step);
}

std::string RunView::state() const {
  if (restart_is_due()) return "failed, a restart is due";
  if (log_.end == RunLog::End::kFailed) return "failed";
  if (log_.end == RunLog::End::kStopped) return "stopped";
  return has_ended() ? "finished" : "runs, or was killed";
}

}  // namespace moesaic
