// StallGuard: cuts a transfer in which nothing moves.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace moesaic::sites {

class StallGuard {
 public:
  /// `cut` is called, once and by another thread, when `seconds` pass without moved().
  StallGuard(double seconds, std::function<void()> cut);
  ~StallGuard();
  StallGuard(const StallGuard&) = delete;
  StallGuard& operator=(const StallGuard&) = delete;

  void moved();

 private:
  void watch();

  double seconds_;
  std::function<void()> cut_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool moved_ = false;
  bool ended_ = false;
  std::thread thread_;
};

}  // namespace moesaic::sites
