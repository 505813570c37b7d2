// Inbox: the files that silos have sent, or are sending, to the coordinator. A silo has at most two
// at a time: one that the coordinator is looking at, and one that comes in. What another process
// left of them is found again.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "protocol/messages.h"
#include "sites/part_file.h"

namespace moesaic::sites {

class Inbox {
 public:
  Inbox(std::string folder, std::uint64_t most_bytes);

  /// How much of a file is here: what another transfer of the silo brings from now on is refused.
  /// Makes place for it: another file that was coming in, or that no message named, is removed.
  /// Error(kData) when it is too large.
  std::uint64_t expect(const std::string& silo, const Blob& blob);

  /// One transfer of a file. A later one of the same silo takes its place: then add() throws.
  class Upload;
  std::shared_ptr<Upload> begin(const std::string& silo, const Blob& blob);
  /// Returns what is here now; the file is whole when that is all of it.
  std::uint64_t add(Upload& upload, std::uint64_t offset, const std::string& piece);

  /// The path of a whole file, now in the hands of the coordinator, until release(). "" when it is
  /// not here. Error(kData) while the silo has another one there.
  std::string take(const std::string& silo, const Blob& blob);
  /// Removes it, if it is still there.
  void release(const std::string& silo);

 private:
  struct Silo {
    std::string taken;                // digest, "" = none
    std::weak_ptr<Upload> uploading;  // the newest
  };

  std::string folder_of(const std::string& silo) const;
  std::string path_of(const std::string& silo, const Blob& blob) const;
  void check(const Blob& blob) const;

  std::string folder_;
  std::uint64_t most_bytes_;
  std::mutex mutex_;
  std::map<std::string, Silo> silos_;
};

}  // namespace moesaic::sites
