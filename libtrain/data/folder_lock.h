// FolderLock: one job at a time writes in a folder that several may share.
#pragma once

#include <functional>
#include <string>

#include "core/file_lock.h"
#include "core/log.h"

namespace moesaic {

class FolderLock {
 public:
  /// Waits for the lock file `folder`/.lock, and calls `alive` meanwhile. Where the file system
  /// knows no locks, a warning, and no lock.
  FolderLock(const std::string& folder, const Log& log, const std::function<void()>& alive = {});

 private:
  FileLock lock_;
};

}  // namespace moesaic
