#include "sites/stall_guard.h"

#include <chrono>
#include <utility>

namespace moesaic::sites {

StallGuard::StallGuard(double seconds, std::function<void()> cut)
    : seconds_(seconds), cut_(std::move(cut)), thread_([this] { watch(); }) {}

StallGuard::~StallGuard() {
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    changed_.notify_all();
  }
  thread_.join();
}

// Does not wake the watcher: that looks when its time is up.
void StallGuard::moved() {
  const std::lock_guard lock(mutex_);
  moved_ = true;
}

void StallGuard::watch() {
  std::unique_lock lock(mutex_);
  for (;;) {
    moved_ = false;
    changed_.wait_for(lock, std::chrono::duration<double>(seconds_), [&] { return ended_; });
    if (ended_) return;
    if (!moved_) return cut_();
  }
}

}  // namespace moesaic::sites
