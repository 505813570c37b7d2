#include "observe/append_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "core/error.h"

namespace moesaic {
namespace {

[[noreturn]] void fail(const char* what, const std::string& path, int code) {
  const bool full = code == ENOSPC || code == EDQUOT;
  throw Error(ErrorKind::kCheckpoint, format("cannot {} {}: {}", what, path, std::strerror(code)),
              full ? "free some space, then go on with --resume auto" : "");
}

}  // namespace

AppendFile::AppendFile(const std::string& path)
    : path_(path), fd_(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644)) {
  if (fd_ < 0) fail("open", path_, errno);
}

AppendFile::AppendFile(AppendFile&& other) noexcept
    : path_(std::move(other.path_)), fd_(std::exchange(other.fd_, -1)) {}

AppendFile& AppendFile::operator=(AppendFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(fd_, other.fd_);
  return *this;
}

AppendFile::~AppendFile() {
  if (fd_ >= 0) ::close(fd_);
}

void AppendFile::append(std::string_view record) {
  while (!record.empty()) {
    const ssize_t wrote = ::write(fd_, record.data(), record.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) fail("write", path_, errno);
    record.remove_prefix(static_cast<std::size_t>(wrote));
  }
}

}  // namespace moesaic
