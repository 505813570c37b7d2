// Membership: what a silo's process knows of its place at the coordinator. Every function may be
// called by any thread.
#pragma once

#include <wire.pb.h>

#include <cstdint>
#include <mutex>
#include <string>

namespace moesaic::sites {

class Membership {
 public:
  /// A process that is about to join.
  void begin(const std::string& session);
  /// The coordinator took it in. Its orders are counted anew.
  void joined(const std::string& run, const std::string& instance);

  wire::Caller caller() const;
  std::string run() const;
  std::string instance() const;

  /// Number of the newest order that was taken; of the newest there is. An older instance's are not
  /// noted.
  std::uint64_t seen() const;
  void saw(const std::string& instance, std::uint64_t number);
  void newest(const std::string& instance, std::uint64_t number);
  bool has_order() const;

  void report(const std::string& progress);
  std::string progress() const;

 private:
  mutable std::mutex mutex_;
  std::string session_;
  std::string run_;
  std::string instance_;
  std::string progress_;
  std::uint64_t seen_ = 0;
  std::uint64_t newest_ = 0;
};

}  // namespace moesaic::sites
