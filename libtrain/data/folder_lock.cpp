#include "data/folder_lock.h"

#include <cstring>

#include "core/error.h"

namespace moesaic {

FolderLock::FolderLock(const std::string& folder, const Log& log) {
  const std::string path = folder + "/.lock";
  lock_ = FileLock(path, FileLock::Wait::kNo);
  if (lock_.is_taken()) {
    log.info("data: waiting for another job that writes in {}", folder);
    lock_ = FileLock(path, FileLock::Wait::kYes);
  }
  MOESAIC_CHECK(lock_.is_open(), ErrorKind::kCheckpoint, "cannot write {}: {}", path,
                std::strerror(lock_.error()));
  if (lock_.error() != 0)
    log.warn("data: {} is not locked: {}", folder, std::strerror(lock_.error()));
}

}  // namespace moesaic
