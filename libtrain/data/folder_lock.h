// FolderLock: one job at a time writes in a folder that several may share.
#pragma once

#include <string>

#include "core/log.h"

namespace moesaic {

class FolderLock {
 public:
  /// Waits for the lock file `folder`/.lock. The system releases it when its process ends, however
  /// it ends. Where the file system knows no locks, a warning, and no lock.
  FolderLock(const std::string& folder, const Log& log);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  int descriptor_;
};

}  // namespace moesaic
