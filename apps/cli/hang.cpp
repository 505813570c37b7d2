#include "hang.h"

#include <algorithm>
#include <vector>

#include "core/clock.h"
#include "core/error.h"
#include "core/fs.h"
#include "core/host_name.h"
#include "process_tree.h"
#include "stacks.h"

namespace moesaic::cli {
namespace {

constexpr double kDebuggerSeconds = 5.0;

// The process of each rank that runs on this machine, as part of the job; pid 0 for the others.
std::vector<ProcessInfo> processes_of(const JobState& job, pid_t root) {
  std::vector<ProcessInfo> all = descendants(root);
  if (const auto info = process_info(root)) all.push_back(*info);  // a single rank
  const std::string here = host_name();
  std::vector<ProcessInfo> found(job.ranks.size());
  for (std::size_t rank = 0; rank < found.size(); ++rank) {
    const auto& state = job.ranks[rank];
    const auto process = std::find_if(all.begin(), all.end(), [&](const ProcessInfo& info) {
      return state && state->host == here && state->pid == info.pid;
    });
    if (process != all.end()) found[rank] = *process;
  }
  return found;
}

std::string place_of(const RankState& state) {
  return format("in step {}, last in {}", state.step, state.where);
}

std::string words_of(const JobState& job, const Suspect& suspect, const HangFacts& facts) {
  std::string text = format(
      "the job hangs: no rank has given a sign of life for {:.1f} s (parallel.timeout_s is "
      "{}), in step {}",
      facts.silent_s, facts.timeout_s, job.step());
  if (suspect.rank < 0) return text;
  const auto& state = job.ranks[static_cast<std::size_t>(suspect.rank)];
  text += format("; rank {} {}", suspect.rank, suspect.is_stopped ? "is stopped" : "has not come");
  return state ? format("{}, {}", text, place_of(*state)) : text + ", nothing is known of it";
}

std::string stacks_of(const JobState& job, const std::vector<ProcessInfo>& processes, int first) {
  const StackReader reader(kDebuggerSeconds);
  std::vector<std::string> texts(processes.size());
  const auto read = [&](std::size_t rank) {
    const auto& state = job.ranks[rank];
    std::string& text = texts[rank];
    if (!text.empty()) return;
    text = format("== rank {}: {}\n", rank, state ? place_of(*state) : "nothing is known of it");
    const pid_t pid = processes[rank].pid;
    text += pid > 0 ? format("process {}\n{}", pid, reader.read(pid))
                    : format("its process is not on {}\n", host_name());
  };
  if (first >= 0) read(static_cast<std::size_t>(first));  // while there is time for a debugger
  for (std::size_t rank = 0; rank < processes.size(); ++rank) read(rank);
  return format("{}: the ranks of a job that hangs\n\n{}", utc_time(), join(texts, "\n"));
}

// "" when it cannot be written: the run matters more.
std::string write_stacks(const std::string& run_dir, const std::string& text) {
  const std::string path = format("{}/logs/stacks-{:.0f}.txt", run_dir, unix_time());
  try {
    write_file_atomic(path, text);
    return path;
  } catch (const Error&) {
    return "";
  }
}

}  // namespace

Suspect suspect_of(const JobState& job, const std::vector<int>& stopped) {
  if (!stopped.empty()) return {stopped.front(), true};
  const std::vector<int> behind = job.behind();
  if (!behind.empty()) return {behind.front(), false};
  return {job.ranks.size() == 1 ? 0 : -1, false};
}

HangReport report_hang(const JobState& job, const HangFacts& facts) {
  const std::vector<ProcessInfo> processes = processes_of(job, facts.root);
  std::vector<int> stopped;
  for (std::size_t rank = 0; rank < processes.size(); ++rank)
    if (processes[rank].is_stopped()) stopped.push_back(static_cast<int>(rank));
  const Suspect suspect = suspect_of(job, stopped);
  HangReport report{.stacks = write_stacks(facts.run_dir, stacks_of(job, processes, suspect.rank))};
  const std::string where =
      report.stacks.empty() ? "" : format("the stacks of all ranks are in {}; ", report.stacks);
  report.failure = {.exit_code = static_cast<int>(ErrorKind::kCommunication),
                    .message = words_of(job, suspect, facts),
                    .hint = where + "if it was only slow, raise parallel.timeout_s"};
  if (suspect.rank < 0) return report;
  report.failure.rank = suspect.rank;
  report.failure.behind = {suspect.rank};
  if (const auto& state = job.ranks[static_cast<std::size_t>(suspect.rank)])
    report.failure.host = state->host;
  return report;
}

}  // namespace moesaic::cli
