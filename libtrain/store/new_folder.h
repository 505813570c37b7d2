// NewFolder: a folder that appears at its place when all of it is there and durable.
#pragma once

#include <cstdint>
#include <string>

#include "core/file_lock.h"

namespace moesaic {

/// Of a folder that another one replaces, for the moment between two renames.
inline constexpr const char* kReplacedSuffix = ".replaced.tmp";

/// Moves a finished folder to `path`, in place of the folder that is there, which is removed.
/// Durable when it returns.
void publish_folder(const std::string& temporary, const std::string& path);

/// Error(kUsage) when one of the two is the other or lies inside it: writing would damage what is
/// read. A run folder may have the new one beside its checkpoints.
void check_apart(const std::string& from, const std::string& to);

/// Error(kCheckpoint) with `hint` when the file system of `folder` has less room than that.
void check_room(const std::string& folder, std::uint64_t bytes,
                const std::string& hint = "free some space, or choose another place");

/// Made by this process alone; removed when publish() is never called.
class NewFolder {
 public:
  struct Options {
    bool overwrite = false;  // what an export or import wrote to `path` is replaced
  };

  /// Error(kCheckpoint) when something is at `path` already: anything but an empty folder, or with
  /// `overwrite` anything that require_own_folder() refuses. Error(kUsage) when `path` is the
  /// working folder or holds it, or another job is writing there. Makes the folder to write to.
  NewFolder(const std::string& path, const Options& options);
  ~NewFolder();
  NewFolder(const NewFolder&) = delete;
  NewFolder& operator=(const NewFolder&) = delete;

  /// Where to write.
  const std::string& temporary() const { return temporary_; }
  void publish();

 private:
  std::string path_;
  std::string temporary_;
  FileLock lock_;
  bool replaces_ = false;
  bool published_ = false;
};

}  // namespace moesaic
