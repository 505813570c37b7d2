// FileLock: a file or folder that one job at a time has. The system releases the lock when its
// process ends, however it ends.
#pragma once

#include <string>

namespace moesaic {

class FileLock {
 public:
  enum class Wait { kNo, kYes };

  FileLock() = default;
  /// Of a folder that is there, or of a file, which is made. Never throws: see below.
  FileLock(const std::string& path, Wait wait);
  FileLock(FileLock&& other) noexcept;
  FileLock& operator=(FileLock&& other) noexcept;
  ~FileLock();

  /// False when `path` could not be opened.
  bool is_open() const { return descriptor_ >= 0; }
  /// Another job has it; only without waiting.
  bool is_taken() const;
  /// 0 when the lock is held. Else of opening, or of locking: some file systems know no locks.
  int error() const { return error_; }
  /// Whether what was opened is still what `path` names.
  bool is_at(const std::string& path) const;

 private:
  int descriptor_ = -1;
  int error_ = 0;
};

}  // namespace moesaic
