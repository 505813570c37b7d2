#include "launcher.h"

#include <poll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>

#include "core/error.h"

namespace moesaic::cli {
namespace {

// The signals of the launcher as something to poll. Blocked before the child starts: none is lost.
class Signals {
 public:
  Signals() {
    ::signal(SIGCHLD, SIG_DFL);  // an inherited SIG_IGN would reap the child before it is asked for
    sigset_t set;
    sigemptyset(&set);
    for (const int signal : {SIGCHLD, SIGTERM, SIGINT, SIGUSR1}) sigaddset(&set, signal);
    struct sigaction hangup {};
    ::sigaction(SIGHUP, nullptr, &hangup);
    if (hangup.sa_handler != SIG_IGN) sigaddset(&set, SIGHUP);  // ignored: nohup
    ::sigprocmask(SIG_BLOCK, &set, &before_);
    fd_ = ::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    MOESAIC_ASSERT(fd_ >= 0);
  }
  ~Signals() {
    ::close(fd_);
    ::sigprocmask(SIG_SETMASK, &before_, nullptr);
  }
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  int fd() const { return fd_; }
  /// The next one that is waiting, 0 = none.
  int next() const {
    signalfd_siginfo info{};
    const bool got = ::read(fd_, &info, sizeof info) == static_cast<ssize_t>(sizeof info);
    return got ? static_cast<int>(info.ssi_signo) : 0;
  }

 private:
  sigset_t before_{};
  int fd_ = -1;
};

class Job {
 public:
  Job(const Launch& launch, const LaunchOptions& options)
      : filter_({.out = stderr, .live_line = options.live_line}),
        child_(launch.command, options.stdout_free ? ChildProcess::Stdout::kToStderr
                                                   : ChildProcess::Stdout::kInherit) {}

  /// Until the job has ended; the status of waitpid.
  int run() {
    for (;;) {
      std::array<pollfd, 2> ready{pollfd{signals_.fd(), POLLIN, 0},
                                  pollfd{pipe_open_ ? child_.stderr_pipe() : -1, POLLIN, 0}};
      ::poll(ready.data(), ready.size(), -1);
      while (const int signal = signals_.next()) take(signal);
      const std::optional<int> status = child_.ended();  // before the last read
      read_stderr();
      if (!status) continue;
      filter_.finish();
      return *status;
    }
  }

  bool stop_requested() const { return stop_requested_; }
  bool interrupted() const { return interrupts_ > 1; }
  const std::optional<RankNotice>& notice() const { return filter_.notice(); }

 private:
  void take(int signal) {
    if (signal == SIGCHLD) return;
    if (signal == SIGINT) ++interrupts_;
    if (interrupts_ > 1 && signal == SIGINT) {
      child_.send_group(interrupts_ == 2 ? SIGTERM : SIGKILL);
    } else if (!stop_requested_) {
      // mpirun passes SIGUSR1 on to the ranks; at SIGTERM it would kill them within two seconds.
      child_.send(SIGUSR1);
    }
    stop_requested_ = true;
  }

  void read_stderr() {
    std::array<char, 16384> buffer;
    ssize_t got = 0;
    while ((got = ::read(child_.stderr_pipe(), buffer.data(), buffer.size())) > 0) {
      filter_.feed({buffer.data(), static_cast<std::size_t>(got)});
    }
    if (got == 0) pipe_open_ = false;
  }

  Signals signals_;
  StderrFilter filter_;
  ChildProcess child_;
  bool pipe_open_ = true;
  bool stop_requested_ = false;
  int interrupts_ = 0;
};

// A process that took SIGUSR1 without knowing it had not begun: MPI or LibTorch was still loading.
bool ended_before_it_began(const Job& job, int status) {
  const bool itself = WIFSIGNALED(status) && WTERMSIG(status) == SIGUSR1;
  const bool rank = job.notice() && job.notice()->signal == SIGUSR1;
  return job.stop_requested() && (itself || rank);
}

std::optional<RankNotice> notice_of(const Job& job, const Launch& launch, int status) {
  if (launch.has_mpirun || !WIFSIGNALED(status)) return job.notice();
  return RankNotice{0, "", WTERMSIG(status), 0};
}

}  // namespace

LaunchResult run_job(const Launch& launch, const LaunchOptions& options) {
  const ErrorFiles error_files(options.run_dir);
  Job job(launch, options);
  const int status = job.run();
  const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
  if (WIFEXITED(status) && (code == 0 || code == kExitStopped)) return {code, std::nullopt};
  if (ended_before_it_began(job, status)) {
    std::fputs("stopped before the first step\n", stderr);
    return {kExitStopped, std::nullopt};
  }
  Failure failure =
      explain(error_files.appeared(), notice_of(job, launch, status), code, options.run_dir);
  if (job.interrupted()) {
    failure = {.exit_code = failure.exit_code,
               .message = "ended by a second interrupt, without saving",
               .hint = "go on from the last checkpoint with --resume auto"};
  }
  return {failure.exit_code, failure};
}

}  // namespace moesaic::cli
