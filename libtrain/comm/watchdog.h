// Who is behind? Each rank keeps (sequence number, label, progress counter) in a small file under logs/;
// when a collective times out, the survivors read all of them and name the rank that did not come.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

namespace moesaic {

class Watchdog {
 public:
  struct Options {
    std::string folder;  // "" = keep no files
    int rank = 0;
    int size = 1;
  };

  explicit Watchdog(const Options& options);
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  /// This rank enters the collective `label` of group `group`.
  void enter(const std::string& group, const std::string& label);
  /// A long local phase goes on (evaluation, tokenising): not stuck.
  void alive();

  /// Text for the error message: each rank's last collective, and the ones behind.
  std::string report() const;

 private:
  void write();

  Options options_;
  int fd_ = -1;
  std::uint64_t sequence_ = 0;
  std::uint64_t counter_ = 0;
  std::string label_;
};

}  // namespace moesaic
