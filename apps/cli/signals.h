// The signals of the launcher as something to poll.
#pragma once

#include <csignal>

namespace moesaic::cli {

/// Blocks SIGCHLD and the signals that stop a job, for its lifetime; made before the first child
/// starts, none of them is lost. SIGHUP stays ignored where it was (nohup).
class Signals {
 public:
  Signals();
  ~Signals();
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  /// Readable while one waits.
  int fd() const { return fd_; }
  /// The next one that waits, 0 = none.
  int next() const;

 private:
  sigset_t before_{};
  int fd_ = -1;
};

}  // namespace moesaic::cli
