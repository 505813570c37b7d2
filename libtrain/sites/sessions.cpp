#include "sites/sessions.h"

#include <algorithm>

#include "sites/wire.h"

namespace moesaic::sites {

Sessions::Sessions(std::string run) : run_(std::move(run)), instance_(new_name()) {}

void Sessions::check_joining(const wire::Caller& caller) const {
  MOESAIC_CHECK(caller.protocol() == kProtocol, ErrorKind::kUsage,
                "the silo speaks protocol {}, the coordinator {}: they are different versions of "
                "Moesaic",
                caller.protocol(), kProtocol);
  MOESAIC_CHECK(caller.run().empty() || caller.run() == run_, ErrorKind::kUsage,
                "the silo was in the run '{}', this is '{}'", printable(caller.run()), run_);
  MOESAIC_CHECK(!caller.session().empty() && caller.session().size() <= 64, ErrorKind::kData,
                "a call without its session");
}

void Sessions::check(const std::string& silo, const wire::Caller& caller) {
  check_joining(caller);
  const std::lock_guard lock(mutex_);
  const auto found = silos_.find(silo);
  if (found == silos_.end() || found->second.session != caller.session()) {
    throw Refused(Error(ErrorKind::kCommunication,
                        format("silo '{}' has not joined, or another process has with its "
                               "certificate",
                               silo)),
                  wire::Refusal::JOIN_AGAIN);
  }
  found->second.heard = Clock::now();
}

void Sessions::join(const std::string& silo, const std::string& session) {
  const std::lock_guard lock(mutex_);
  Silo& state = silos_[silo];
  state.session = session;
  state.heard = Clock::now();
}

void Sessions::leave(const std::string& silo) {
  const std::lock_guard lock(mutex_);
  silos_[silo].session.clear();
}

void Sessions::order(const std::string& silo, wire::Note note) {
  const std::lock_guard lock(mutex_);
  Silo& state = silos_[silo];
  state.order = std::move(note);
  ++state.number;
  changed_.notify_all();
}

wire::Order Sessions::wait(const std::string& silo, std::uint64_t seen, double seconds,
                           const std::function<bool()>& gone) {
  constexpr auto kLook = std::chrono::milliseconds(100);
  const auto end = Clock::now() + std::chrono::duration<double>(seconds);
  wire::Order order;
  order.set_instance(instance_);
  std::unique_lock lock(mutex_);
  for (;;) {
    const auto found = silos_.find(silo);
    if (found != silos_.end() && found->second.number > seen) {
      order.set_number(found->second.number);
      *order.mutable_note() = found->second.order;
      return order;
    }
    if (stopped_ || Clock::now() >= end || gone()) return order;
    changed_.wait_for(lock, kLook);
  }
}

std::uint64_t Sessions::newest(const std::string& silo) const {
  const std::lock_guard lock(mutex_);
  const auto found = silos_.find(silo);
  return found == silos_.end() ? 0 : found->second.number;
}

void Sessions::progress(const std::string& silo, const Json& progress) {
  const std::lock_guard lock(mutex_);
  silos_[silo].progress = progress;
}

void Sessions::moved(const std::string& silo, std::uint64_t bytes_in, std::uint64_t bytes_out) {
  const std::lock_guard lock(mutex_);
  Silo& state = silos_[silo];
  state.heard = Clock::now();
  state.bytes_in += bytes_in;
  state.bytes_out += bytes_out;
}

std::vector<SiloState> Sessions::states() const {
  const std::lock_guard lock(mutex_);
  std::vector<SiloState> states;
  for (const auto& [name, silo] : silos_) {
    if (silo.session.empty()) continue;
    const std::chrono::duration<double> silent = Clock::now() - silo.heard;
    states.push_back({name, silent.count(), silo.progress, silo.bytes_in, silo.bytes_out});
  }
  return states;
}

void Sessions::stop() {
  const std::lock_guard lock(mutex_);
  stopped_ = true;
  changed_.notify_all();
}

}  // namespace moesaic::sites
