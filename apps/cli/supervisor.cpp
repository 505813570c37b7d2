#include "supervisor.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <optional>
#include <utility>

#include "core/clock.h"
#include "core/error.h"
#include "core/json.h"
#include "core/log.h"
#include "core/path.h"
#include "hang.h"
#include "hang_watch.h"
#include "job_state.h"
#include "observe/append_file.h"
#include "process_tree.h"
#include "signals.h"

namespace moesaic::cli {
namespace {

constexpr double kLeastStartSeconds = 120;  // MPI and LibTorch are loaded from a slow disk

// Which checkpoint is the newest.
struct NewestCheckpoint {
  std::string name;  // "" = there is none
  std::uint64_t inode = 0;
  std::int64_t time_ns = 0;

  bool operator==(const NewestCheckpoint&) const = default;

  static NewestCheckpoint in(const std::string& run_dir) {
    const std::string latest = run_dir + "/checkpoints/latest";
    struct stat status {};
    if (::stat((latest + "/manifest.json").c_str(), &status) != 0) return {};
    return {file_name(link_target(latest)), status.st_ino,
            std::int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec};
  }
};

// One job, watched from its start to its end.
class Attempt {
 public:
  Attempt(const SupervisorOptions& options, const std::string& run_dir)
      : options_(options),
        run_dir_(run_dir),
        interval_s_(std::clamp(options.timeout_s / 20, 0.2, 5.0)),
        files_(run_dir + "/logs", options.ranks),
        watch_(watch_options(), 0) {}

  bool hangs(pid_t root) {
    const double now_s = clock_.seconds();
    if (now_s - looked_s_ < interval_s_) return false;
    looked_s_ = now_s;
    const JobState job = files_.look();
    const auto silent_s = watch_.look(now_s, job.signs);
    if (silent_s && !hang_) {
      hang_ = report_hang(job, {*silent_s, options_.timeout_s, run_dir_, root});
      hung_ = job;
    }
    return silent_s.has_value();
  }

  const std::optional<HangReport>& hang() const { return hang_; }
  /// Where it failed. What hung may go on for a moment while it is ended.
  JobState state() const { return hang_ ? hung_ : files_.look(); }

 private:
  // The ranks' own watchdogs wait for the whole time-out: they would end the job, and with it what
  // the stacks tell.
  HangWatch::Options watch_options() const {
    const double silence_s = 0.9 * options_.timeout_s;
    return {.silence_s = silence_s,
            .start_s = std::max(silence_s, kLeastStartSeconds),
            .most_gap_s = 4 * interval_s_};
  }

  const SupervisorOptions& options_;
  const std::string& run_dir_;
  double interval_s_;
  Stopwatch clock_;
  StateFiles files_;
  HangWatch watch_;
  double looked_s_ = 0;
  std::optional<HangReport> hang_;
  JobState hung_;
};

// "in step 7, last in 'dispatch' of expert" of the rank that failed, else of the job.
std::string where_it_failed(const Failure& failure, const JobState& job) {
  const auto rank = static_cast<std::size_t>(failure.rank);
  if (failure.rank < 0 || rank >= job.ranks.size() || !job.ranks[rank])
    return format("in step {}", job.step());
  return format("in step {}, last in {}", job.ranks[rank]->step, job.ranks[rank]->where);
}

class Supervisor {
 public:
  Supervisor(const RunStarts& starts, const LaunchOptions& launch, const SupervisorOptions& options)
      : starts_(starts), launch_(launch), options_(options), policy_(options.restarts) {}

  SupervisedResult run() {
    adopt_orphans();
    const NewestCheckpoint origin = NewestCheckpoint::in(launch_.run_dir);
    const Launch* next = &starts_.first;
    SupervisedResult result;
    for (;;) {
      Attempt attempt(options_, launch_.run_dir);
      result.last = run_one(*next, attempt);
      if (!goes_on(attempt, result)) return result;
      const bool is_new = NewestCheckpoint::in(launch_.run_dir) != origin;
      next = starts_.has_origin && !is_new ? &starts_.first : &starts_.again;
    }
  }

 private:
  LaunchResult run_one(const Launch& launch, Attempt& attempt) {
    LaunchOptions options = launch_;
    options.hangs = [&](pid_t root) { return attempt.hangs(root); };
    LaunchResult result = run_job(launch, options, signals_);
    if (attempt.hang()) {
      result.failure = attempt.hang()->failure;
      result.exit_code = result.failure->exit_code;
    }
    while (const int signal = signals_.next())
      result.was_asked = result.was_asked || signal != SIGCHLD;
    return result;
  }

  // After an attempt; tells what was decided.
  bool goes_on(const Attempt& attempt, SupervisedResult& result) {
    const LaunchResult& last = result.last;
    if (!last.failure) return false;
    const JobState job = attempt.state();
    const RestartDecision decision = policy_.after({.exit_code = last.exit_code,
                                                    .rank = last.failure->rank,
                                                    .step = job.step(),
                                                    .was_asked = last.was_asked},
                                                   clock_.seconds());
    if (!decision.restart) {
      note(format("no restart: {}", decision.reason));
      return false;
    }
    ++result.restarts;
    std::fputs(to_text(*last.failure).c_str(), stderr);
    const std::string from = NewestCheckpoint::in(launch_.run_dir).name;
    note(words_of(decision, *last.failure, job, from));
    record(decision, *last.failure, job, attempt.hang(), from);
    return true;
  }

  std::string words_of(const RestartDecision& decision, const Failure& failure, const JobState& job,
                       const std::string& from) const {
    const std::string who = failure.rank < 0 ? "the job" : format("rank {}", failure.rank);
    const std::string again =
        decision.same_again
            ? "; the same failure at the same step as before: it may not pass by itself"
            : "";
    return format("restart {} (at most {} within {} s): {} failed {}: {}; {}{}", decision.number,
                  options_.restarts.restarts, options_.restarts.window_s, who,
                  where_it_failed(failure, job), failure.message,
                  from.empty() ? "there is no checkpoint yet" : "the newest checkpoint is " + from,
                  again);
  }

  // What is told must never end the run.
  void note(const std::string& text) const {
    try {
      const std::string file = launch_.run_dir + "/logs/rank-0.log";
      const bool there = is_file(file, ErrorKind::kCheckpoint);
      Log({.rank = 0, .file = there ? file : ""}).warn("{}", text);
    } catch (const std::exception&) {
      std::fputs(format("warning: {}\n", text).c_str(), stderr);
    }
  }

  void record(const RestartDecision& decision, const Failure& failure, const JobState& job,
              const std::optional<HangReport>& hang, const std::string& from) const {
    const std::string stacks = hang ? file_name(hang->stacks) : "";
    const Json line = {{"time", utc_time()},
                       {"restart", decision.number},
                       {"kind", hang ? "hang" : "crash"},
                       {"step", job.step()},
                       {"rank", failure.rank},
                       {"host", failure.host},
                       {"where", where_it_failed(failure, job)},
                       {"exit_code", failure.exit_code},
                       {"message", failure.message},
                       {"same_again", decision.same_again},
                       {"checkpoint", from.empty() ? Json(nullptr) : Json(from)},
                       {"stacks", stacks.empty() ? Json(nullptr) : Json(stacks)}};
    try {
      AppendFile(launch_.run_dir + "/restarts.jsonl")
          .append(line.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
    } catch (const Error& error) {
      std::fputs(format("warning: {}\n", error.what()).c_str(), stderr);
    }
  }

  const RunStarts& starts_;
  const LaunchOptions& launch_;
  const SupervisorOptions& options_;
  Signals signals_;  // of all attempts: no stop between two of them is lost
  RestartPolicy policy_;
  Stopwatch clock_;
};

}  // namespace

SupervisedResult run_supervised(const RunStarts& starts, const LaunchOptions& options,
                                const SupervisorOptions& supervisor) {
  return Supervisor(starts, options, supervisor).run();
}

}  // namespace moesaic::cli
