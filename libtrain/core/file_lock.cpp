#include "core/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace moesaic {

FileLock::FileLock(const std::string& path, Wait wait)
    : descriptor_(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644)) {
  if (descriptor_ < 0 && errno == EISDIR)
    descriptor_ = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  error_ = descriptor_ < 0 ? errno : 0;
  const int how = wait == Wait::kYes ? LOCK_EX : LOCK_EX | LOCK_NB;
  while (is_open() && ::flock(descriptor_, how) != 0) {
    error_ = errno;
    if (error_ != EINTR) return;
    error_ = 0;
  }
}

FileLock::FileLock(FileLock&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)), error_(other.error_) {}

FileLock& FileLock::operator=(FileLock&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  std::swap(error_, other.error_);
  return *this;
}

FileLock::~FileLock() {
  if (is_open()) ::close(descriptor_);
}

bool FileLock::is_taken() const { return is_open() && error_ == EWOULDBLOCK; }

bool FileLock::is_at(const std::string& path) const {
  struct stat mine {};
  struct stat there {};
  return is_open() && ::fstat(descriptor_, &mine) == 0 && ::stat(path.c_str(), &there) == 0 &&
         mine.st_dev == there.st_dev && mine.st_ino == there.st_ino;
}

}  // namespace moesaic
