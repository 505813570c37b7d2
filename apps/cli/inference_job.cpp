#include "inference_job.h"

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <system_error>

#include "core/error.h"
#include "core/fs.h"
#include "launcher.h"
#include "monitoring.h"

namespace moesaic::cli {
namespace {

// Where the ranks of one job say how far they are; removed with all in it at the end.
class JobFolder {
 public:
  /// Under `parent`, which the ranks see too.
  explicit JobFolder(const std::filesystem::path& parent)
      : path_((parent / "moesaic-metrics-XXXXXX").string()) {
    MOESAIC_CHECK(::mkdtemp(path_.data()) != nullptr, ErrorKind::kUsage,
                  "--prometheus: cannot make a folder in {}", parent.string());
    make_folder(path_ + "/logs");
  }
  ~JobFolder() {
    std::error_code left;
    std::filesystem::remove_all(path_, left);
  }
  JobFolder(const JobFolder&) = delete;
  JobFolder& operator=(const JobFolder&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// "score-quickstart"
std::string job_label(const InferenceJob& job) {
  if (job.model.empty()) return job.verb;
  const std::filesystem::path model = std::filesystem::path(absolute_path(job.model));
  const auto last = model.has_filename() ? model.filename() : model.parent_path().filename();
  return format("{}-{}", job.verb, last.string());
}

LaunchResult run_as_said(const InferenceJob& job, const Launch& launch) {
  return run_job(launch, {.saves_on_stop = false,
                          .gives_stdin = job.gives_stdin,
                          .advice = {.less_memory = job.less_memory, .afterwards = ""}});
}

// With all that Prometheus is told meanwhile.
LaunchResult run_monitored(const InferenceJob& job, LaunchRequest request, const Machine& machine) {
  const auto where = metrics_place(*job.prometheus);
  std::error_code none;  // then it is the current folder
  const auto temporary = std::filesystem::temp_directory_path(none);
  const JobFolder folder(machine.nodes == 1 ? temporary : std::filesystem::current_path());
  request.worker.push_back("--job-folder=" + folder.path());
  const auto monitor = start_monitor({.job = job_label(job),
                                      .run_dir = folder.path(),
                                      .ranks = job.ranks,
                                      .owns_folder = true,
                                      .about = {{"verb", job.verb}, {"model", job.model}}},
                                     where);
  try {
    const LaunchResult result = run_as_said(job, make_launch(request, machine));
    monitor->finished(result.exit_code);
    return result;
  } catch (const Error& error) {
    monitor->finished(error.exit_code());
    throw;
  }
}

}  // namespace

void add_ranks_option(CLI::App& verb, int& ranks) {
  verb.add_option("-n", ranks, "Number of ranks")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
}

void add_prometheus_option(CLI::App& verb, std::optional<std::string>& prometheus) {
  verb.add_option("--prometheus", prometheus,
                  "Metrics for Prometheus while the job runs: a port, 0 = any that is free, or the "
                  "path of a file for a textfile collector (docs/monitoring.md)");
}

int run_inference_job(const InferenceJob& job) {
  refuse_inside_a_job(job.verb);
  const Machine machine = Machine::here();
  LaunchRequest request{.ranks = job.ranks,
                        .threads_per_rank = job.threads,
                        .device = job.device,
                        .worker = job.arguments};
  request.worker.insert(request.worker.begin(), job.verb);
  const Launch launch = make_launch(request, machine);
  warn_of_crowding(request.ranks, launch, machine);
  const LaunchResult result =
      job.prometheus ? run_monitored(job, request, machine) : run_as_said(job, launch);
  if (result.failure) std::fputs(to_text(*result.failure).c_str(), stderr);
  return result.exit_code;
}

}  // namespace moesaic::cli
