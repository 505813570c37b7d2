#include "launcher.h"

#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "core/clock.h"
#include "core/error.h"
#include "core/host_name.h"
#include "core/standard_streams.h"
#include "process_tree.h"
#include "session_folder.h"
#include "stdout_relay.h"

namespace moesaic::cli {
namespace {

// mpirun loses a signal that comes before it has started the ranks (measured: 50 ms after its own
// start), so a stop is said again; to a rank that has heard it already it means nothing.
constexpr double kRepeatSeconds = 1.0;
constexpr int kPollMs = 200;
constexpr int kMostStops = 20;
constexpr double kMpirunSeconds = 4.0;  // it has them to end the ranks of a job that hangs

// mpirun would give the ranks an empty text in its place.
void refuse_folder_as_stdin() {
  struct stat input {};
  MOESAIC_CHECK(::fstat(STDIN_FILENO, &input) != 0 || !S_ISDIR(input.st_mode), ErrorKind::kData,
                "cannot read <stdin>: {}", std::strerror(EISDIR));
}

// A single rank writes to this process's stdout itself, and knows what to do without a reader.
ChildProcess::Streams streams_of(const Launch& launch, const LaunchOptions& options) {
  using In = ChildProcess::Stdin;
  using Out = ChildProcess::Stdout;
  const Out out = launch.has_mpirun ? Out::kPipe : Out::kInherit;
  return {options.gives_stdin ? In::kInherit : In::kNull,
          options.stdout_free ? Out::kToStderr : out};
}

// On other nodes an empty folder would be left.
Command command_in(const SessionFolder& session, const Launch& launch) {
  Command command = launch.command;
  if (launch.on_one_node) session.give_to(command);
  return command;
}

class Job {
 public:
  Job(const Launch& launch, const LaunchOptions& options, const Signals& signals)
      : options_(options),
        grace_s_(launch.has_mpirun ? kMpirunSeconds : 0),
        signals_(signals),
        filter_({.out = stderr, .live_line = options.live_line}),
        child_(command_in(session_, launch), streams_of(launch, options)),
        relay_(child_.stdout_pipe(), STDOUT_FILENO) {}

  /// Until the job has ended and its output is written; the status of waitpid.
  int run() {
    for (std::optional<int> status;;) {
      wait(status.has_value());
      while (const int signal = signals_.next()) take(signal);
      if (repeats() && since_stop_.seconds() > kRepeatSeconds) send_stop();
      status = child_.ended();  // before the last read
      if (!status && options_.hangs && options_.hangs(child_.pid()))
        end_tree(child_.pid(), grace_s_);
      read_stderr();
      const bool moved = move_output();
      if (!status || moved || (relay_.holds() && !interrupted())) continue;
      filter_.finish();
      return *status;
    }
  }

  int stop_signal() const { return stop_signal_; }  // the first, 0 = none
  bool interrupted() const { return interrupts_ > 1; }
  int output_failure() const { return relay_.failure(); }  // errno, 0 = none
  const StderrFilter& heard() const { return filter_; }

 private:
  bool repeats() const { return stop_signal_ != 0 && !interrupted() && stops_sent_ < kMostStops; }

  // For a signal, or for output that can be moved.
  void wait(bool ended) {
    const auto [output, reader] = relay_.next();
    std::array<pollfd, 4> ready{pollfd{signals_.fd(), POLLIN, 0},
                                pollfd{pipe_open_ ? child_.stderr_pipe() : -1, POLLIN, 0}, output,
                                reader};
    const bool at_once = ended && !relay_.holds();
    const bool looks = repeats() || (options_.hangs && !ended);
    ::poll(ready.data(), ready.size(), at_once ? 0 : looks ? kPollMs : -1);
  }

  // A training goes on without its console. Other jobs are there for their output.
  bool move_output() {
    const bool failed_before = relay_.failure() != 0;
    const bool moved = relay_.move();
    if (relay_.failure() == 0 || failed_before) return moved;
    if (options_.saves_on_stop) {
      std::fputs(format("warning: {}\n", console_lost(relay_.failure())).c_str(), stderr);
    } else {
      take(SIGPIPE);
    }
    return moved;
  }

  void take(int signal) {
    if (signal == SIGCHLD) return;
    if (stop_signal_ == 0) stop_signal_ = signal;
    relay_.hurry();
    if (signal == SIGINT) ++interrupts_;
    if (signal == SIGINT && interrupts_ > 1) {
      child_.send_group(interrupts_ == 2 ? SIGTERM : SIGKILL);
    } else {
      send_stop();
    }
  }

  // mpirun passes SIGUSR1 on to the ranks: those that do not save end by it. At SIGTERM it would
  // first close their stdin, which looks like the end of the input, and kill them seconds later.
  void send_stop() {
    child_.send(SIGUSR1);
    ++stops_sent_;
    since_stop_.lap();
  }

  void read_stderr() {
    std::array<char, 16384> buffer;
    ssize_t got = 0;
    while ((got = ::read(child_.stderr_pipe(), buffer.data(), buffer.size())) > 0) {
      filter_.feed({buffer.data(), static_cast<std::size_t>(got)});
    }
    if (got == 0) pipe_open_ = false;
  }

  const LaunchOptions& options_;
  double grace_s_;
  SessionFolder session_;
  const Signals& signals_;
  StderrFilter filter_;
  ChildProcess child_;
  StdoutRelay relay_;
  bool pipe_open_ = true;
  int stop_signal_ = 0;
  int interrupts_ = 0;
  int stops_sent_ = 0;
  Stopwatch since_stop_;
};

// A process that SIGUSR1 ends does not listen to it: MPI or LibTorch is loading, or all is over.
bool ended_by_stop(const Job& job, int status) {
  const bool itself = WIFSIGNALED(status) && WTERMSIG(status) == SIGUSR1;
  const bool rank = job.heard().notice() && job.heard().notice()->signal == SIGUSR1;
  return job.stop_signal() != 0 && !job.interrupted() && (itself || rank);
}

std::optional<RankNotice> notice_of(const Job& job, const Launch& launch, int status) {
  if (job.heard().notice() || !WIFSIGNALED(status)) return job.heard().notice();
  return RankNotice{launch.has_mpirun ? RankNotice::kMpirun : 0, "", WTERMSIG(status), 0};
}

void end_all_of_the_job() {
  const std::size_t left = end_leftovers();
  if (left == 0) return;
  std::fputs(
      format("warning: {} processes of the job do not end, not even by SIGKILL\n", left).c_str(),
      stderr);
}

Failure failure_of(const Job& job, const Launch& launch, const LaunchOptions& options,
                   const ErrorFiles& error_files, int status) {
  const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
  const Ending ending{code, notice_of(job, launch, status), job.heard().words()};
  Advice advice = options.advice;
  advice.mpirun_died = trouble_of_mpirun(host_name());
  Failure failure = explain(error_files.appeared(), ending, options.run_dir, advice);
  if (!job.interrupted()) return failure;
  return {.exit_code = failure.exit_code,
          .message = "ended by a second interrupt",
          .hint = "go on from the last checkpoint with --resume auto"};
}

LaunchResult result_of(const Job& job, const Launch& launch, const LaunchOptions& options,
                       const ErrorFiles& error_files, int status) {
  const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
  if (!options.saves_on_stop) {
    if (job.output_failure() != 0) throw_write_error("<stdout>", job.output_failure());
    const bool no_reader = WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE;
    if (no_reader || code == kExitNoReader) return {kExitNoReader, std::nullopt};
  }
  if (WIFEXITED(status) && (code == 0 || code == kExitStopped)) return {code, std::nullopt};
  if (!options.saves_on_stop && job.stop_signal() != 0) {
    std::fputs(format("ended by a signal: {}\n", ::strsignal(job.stop_signal())).c_str(), stderr);
    return {128 + job.stop_signal(), std::nullopt};
  }
  if (ended_by_stop(job, status)) {
    std::fputs("stopped by a signal; go on with --resume auto\n", stderr);
    return {kExitStopped, std::nullopt};
  }
  const Failure failure = failure_of(job, launch, options, error_files, status);
  return {failure.exit_code, failure};
}

}  // namespace

LaunchResult run_job(const Launch& launch, const LaunchOptions& options) {
  const Signals signals;
  return run_job(launch, options, signals);
}

LaunchResult run_job(const Launch& launch, const LaunchOptions& options, const Signals& signals) {
  if (options.gives_stdin) refuse_folder_as_stdin();
  const ErrorFiles error_files(options.run_dir);
  Job job(launch, options, signals);
  const int status = job.run();
  if (options.hangs) end_all_of_the_job();
  LaunchResult result = result_of(job, launch, options, error_files, status);
  result.was_asked = job.stop_signal() != 0;
  return result;
}

void refuse_inside_a_job(const std::string& worker) {
  const std::optional<std::string> sign = task_of_a_job();
  if (!sign) return;
  const std::string verb = worker.substr(0, worker.find(' '));
  throw Error(ErrorKind::kUsage,
              format("this is one of several tasks of a job ({}), and `moesaic {}` starts a job "
                     "itself",
                     *sign, verb),
              format("run the worker: {} moesaic-worker {} ...",
                     sign->starts_with("SLURM") ? "srun --mpi=pmix" : "mpirun", worker));
}

void warn_of_crowding(int ranks, const Launch& launch, const Machine& machine) {
  if (!launch.crowded) return;
  std::fputs(format("warning: {} ranks share {} cores: they take turns, and the run is slow\n",
                    (ranks + machine.nodes - 1) / machine.nodes, machine.usable_cores)
                 .c_str(),
             stderr);
}

}  // namespace moesaic::cli
