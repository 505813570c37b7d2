#include "sites/membership.h"

#include <algorithm>

#include "protocol/messages.h"

namespace moesaic::sites {

void Membership::begin(const std::string& session) {
  const std::lock_guard lock(mutex_);
  session_ = session;
  run_.clear();
  instance_.clear();
}

void Membership::joined(const std::string& run, const std::string& instance) {
  const std::lock_guard lock(mutex_);
  run_ = run;
  instance_ = instance;
  seen_ = 0;
  newest_ = 0;
}

wire::Caller Membership::caller() const {
  const std::lock_guard lock(mutex_);
  wire::Caller caller;
  caller.set_protocol(kProtocol);
  caller.set_run(run_);
  caller.set_session(session_);
  return caller;
}

std::string Membership::run() const {
  const std::lock_guard lock(mutex_);
  return run_;
}

std::string Membership::instance() const {
  const std::lock_guard lock(mutex_);
  return instance_;
}

std::uint64_t Membership::seen() const {
  const std::lock_guard lock(mutex_);
  return seen_;
}

void Membership::saw(const std::string& instance, std::uint64_t number) {
  const std::lock_guard lock(mutex_);
  if (instance != instance_) return;
  seen_ = std::max(seen_, number);
  newest_ = std::max(newest_, number);
}

void Membership::newest(const std::string& instance, std::uint64_t number) {
  const std::lock_guard lock(mutex_);
  if (instance == instance_) newest_ = std::max(newest_, number);
}

bool Membership::has_order() const {
  const std::lock_guard lock(mutex_);
  return newest_ > seen_;
}

void Membership::report(const std::string& progress) {
  const std::lock_guard lock(mutex_);
  progress_ = progress;
}

std::string Membership::progress() const {
  const std::lock_guard lock(mutex_);
  return progress_;
}

}  // namespace moesaic::sites
