#include "engine/stop_signal.h"

#include <pthread.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <csignal>

#include "core/error.h"

namespace moesaic {

StopSignal::StopSignal() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGUSR1, SIGTERM, SIGINT}) sigaddset(&set, signal);
  MOESAIC_ASSERT(pthread_sigmask(SIG_BLOCK, &set, nullptr) == 0);
  fd_ = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
  MOESAIC_ASSERT(fd_ >= 0);
}

StopSignal::~StopSignal() { ::close(fd_); }

bool StopSignal::requested() {
  signalfd_siginfo info{};
  while (::read(fd_, &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
    if (requested_) continue;
    requested_ = true;
    sigset_t again;
    sigemptyset(&again);
    sigaddset(&again, SIGINT);
    sigaddset(&again, SIGTERM);
    pthread_sigmask(SIG_UNBLOCK, &again, nullptr);
  }
  return requested_;
}

}  // namespace moesaic
