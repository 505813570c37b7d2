// Sessions: which silos have joined, when each was last heard, and what it is to do. Every function
// may be called by any thread.
#pragma once

#include <wire.pb.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "sites/server.h"

namespace moesaic::sites {

class Sessions {
 public:
  /// `run` is what calls must be bound to.
  explicit Sessions(std::string run);

  const std::string& run() const { return run_; }
  /// Of this process: a silo sees by it that the coordinator began anew.
  const std::string& instance() const { return instance_; }

  /// Throws Refused for another protocol or run, or a silo or process that has not joined; notes
  /// that the silo was heard.
  void check(const std::string& silo, const wire::Caller& caller);
  /// Of a caller that is about to join.
  void check_joining(const wire::Caller& caller) const;

  void join(const std::string& silo, const std::string& session);
  void leave(const std::string& silo);

  void order(const std::string& silo, wire::Note note);
  /// The silo's order when its number is above `seen`, after at most `seconds`; `gone` is asked
  /// meanwhile whether the caller still waits. Number 0: none.
  wire::Order wait(const std::string& silo, std::uint64_t seen, double seconds,
                   const std::function<bool()>& gone);
  /// Number of the silo's newest order, 0 without one.
  std::uint64_t newest(const std::string& silo) const;

  void progress(const std::string& silo, const Json& progress);
  void moved(const std::string& silo, std::uint64_t bytes_in, std::uint64_t bytes_out);
  std::vector<SiloState> states() const;

  /// Ends every wait.
  void stop();

 private:
  using Clock = std::chrono::steady_clock;
  struct Silo {
    std::string session;  // "" = not joined
    Clock::time_point heard;
    Json progress = Json::object();
    std::uint64_t bytes_in = 0;
    std::uint64_t bytes_out = 0;
    std::uint64_t number = 0;  // of its order
    wire::Note order;
  };

  std::string run_;
  std::string instance_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, Silo> silos_;
  bool stopped_ = false;
};

}  // namespace moesaic::sites
