#include "signals.h"

#include <sys/signalfd.h>
#include <unistd.h>

#include "core/error.h"

namespace moesaic::cli {

Signals::Signals() {
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

Signals::~Signals() {
  ::close(fd_);
  ::sigprocmask(SIG_SETMASK, &before_, nullptr);
}

int Signals::next() const {
  signalfd_siginfo info{};
  const bool got = ::read(fd_, &info, sizeof info) == static_cast<ssize_t>(sizeof info);
  return got ? static_cast<int>(info.ssi_signo) : 0;
}

}  // namespace moesaic::cli
