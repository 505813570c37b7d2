#include "data/folder_lock.h"

#include <chrono>
#include <cstring>
#include <thread>

#include "core/error.h"

namespace moesaic {

FolderLock::FolderLock(const std::string& folder, const Log& log,
                       const std::function<void()>& alive) {
  const std::string path = folder + "/.lock";
  lock_ = FileLock(path, FileLock::Wait::kNo);
  if (lock_.is_taken()) log.info("data: waiting for another job that writes in {}", folder);
  while (lock_.is_taken()) {
    if (alive) alive();
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    lock_ = FileLock(path, FileLock::Wait::kNo);
  }
  MOESAIC_CHECK(lock_.is_open(), ErrorKind::kCheckpoint, "cannot write {}: {}", path,
                std::strerror(lock_.error()));
  if (lock_.error() != 0)
    log.warn("data: {} is not locked: {}", folder, std::strerror(lock_.error()));
}

}  // namespace moesaic
