#include "sites/heartbeat.h"

#include <chrono>
#include <utility>

namespace moesaic::sites {

Heartbeat::Heartbeat(double seconds, std::function<void(Heartbeat&)> beat)
    : seconds_(seconds), beat_(std::move(beat)), thread_([this] { run(); }) {}

Heartbeat::~Heartbeat() {
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    if (under_way_ != nullptr) under_way_->TryCancel();
    changed_.notify_all();
  }
  thread_.join();
}

grpc::Status Heartbeat::call(const std::function<grpc::Status(grpc::ClientContext&)>& attempt) {
  grpc::ClientContext context;
  {
    const std::lock_guard lock(mutex_);
    if (ended_) return grpc::Status::CANCELLED;
    under_way_ = &context;
  }
  const grpc::Status status = attempt(context);
  const std::lock_guard lock(mutex_);
  under_way_ = nullptr;
  return status;
}

void Heartbeat::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait_for(lock, std::chrono::duration<double>(seconds_), [&] { return ended_; });
    if (ended_) return;
    lock.unlock();
    beat_(*this);
    lock.lock();
  }
}

}  // namespace moesaic::sites
