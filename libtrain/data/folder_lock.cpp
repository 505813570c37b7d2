#include "data/folder_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/error.h"

namespace moesaic {
namespace {

// 0, or the error.
int lock(int descriptor, int how) {
  while (::flock(descriptor, how) != 0) {
    if (errno != EINTR) return errno;
  }
  return 0;
}

}  // namespace

FolderLock::FolderLock(const std::string& folder, const Log& log) {
  const std::string path = folder + "/.lock";
  descriptor_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  MOESAIC_CHECK(descriptor_ >= 0, ErrorKind::kCheckpoint, "cannot write {}: {}", path,
                std::strerror(errno));
  int code = lock(descriptor_, LOCK_EX | LOCK_NB);
  if (code == EWOULDBLOCK) {
    log.info("data: waiting for another job that writes in {}", folder);
    code = lock(descriptor_, LOCK_EX);
  }
  if (code != 0) log.warn("data: {} is not locked: {}", folder, std::strerror(code));
}

FolderLock::~FolderLock() { ::close(descriptor_); }

}  // namespace moesaic
