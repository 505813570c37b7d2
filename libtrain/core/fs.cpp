#include "core/fs.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "core/path.h"

namespace moesaic {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(ErrorKind kind, const char* what, const std::string& path, int code) {
  std::string hint;
  if (code == ENOSPC || code == EDQUOT) hint = "free some space, or choose another folder";
  if (code == EACCES || code == EPERM || code == EROFS)
    hint = "check the permissions, or choose another folder";
  std::string reason = std::strerror(code);
  const std::string target = code == ENOENT ? link_target(path) : "";
  if (!target.empty()) reason = format("it is a link to {}, which is not there", target);
  throw Error(kind, format("cannot {} {}: {}", what, path, reason), hint);
}

class Descriptor {
 public:
  Descriptor(const std::string& path, int flags, ErrorKind kind, const char* what)
      : path_(path), kind_(kind), fd_(::open(path.c_str(), flags | O_CLOEXEC, 0644)) {
    if (fd_ < 0) fail(kind, what, path, errno);
  }
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  int get() const { return fd_; }
  struct stat status() const {
    struct stat status {};
    if (::fstat(fd_, &status) != 0) fail(kind_, "stat", path_, errno);
    return status;
  }
  void sync() const {
    if (::fsync(fd_) != 0) fail(kind_, "fsync", path_, errno);
  }

 private:
  std::string path_;
  ErrorKind kind_;
  int fd_;
};

std::string parent_of(const std::string& path) {
  const auto parent = fs::path(path).parent_path();
  return parent.empty() ? "." : parent.string();
}

// A rename would take the place of a device or pipe, which the user meant to write into.
std::string replaceable(std::string path, ErrorKind kind) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0 || S_ISREG(status.st_mode)) return path;
  throw Error(kind,
              format("cannot write {}: {} is there", path,
                     S_ISDIR(status.st_mode) ? "a folder" : "something that is no regular file"),
              "choose another path");
}

}  // namespace

std::string read_file(const std::string& path, ErrorKind kind, std::uint64_t max_bytes) {
  return read_from(path, 0, kind, max_bytes);
}

std::string read_from(const std::string& path, std::uint64_t offset, ErrorKind kind,
                      std::uint64_t max_bytes) {
  const Descriptor file(path, O_RDONLY, kind, "read");
  const auto status = file.status();
  MOESAIC_CHECK(!S_ISDIR(status.st_mode), kind, "cannot read {}: it is a folder", path);
  const auto size = static_cast<std::uint64_t>(status.st_size);
  MOESAIC_CHECK(size <= offset || size - offset <= max_bytes, kind,
                "{} has {} bytes, at most {} are read", path, size - offset, max_bytes);
  if (offset > 0) {
    MOESAIC_CHECK(size >= offset, kind, "{} has {} bytes, it had {}", path, size, offset);
    if (::lseek(file.get(), static_cast<off_t>(offset), SEEK_SET) < 0)
      fail(kind, "read", path, errno);
  }
  std::string content;
  char buffer[1 << 16];
  for (;;) {
    const ssize_t got = ::read(file.get(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail(kind, "read", path, errno);
    if (got == 0) return content;
    content.append(buffer, static_cast<std::size_t>(got));
    MOESAIC_CHECK(content.size() <= max_bytes, kind, "{} has over {} bytes", path, max_bytes);
  }
}

void write_file_atomic(const std::string& path, std::string_view content, ErrorKind kind) {
  NewFile file(path, kind);
  file.write(content);
  file.finish();
}

NewFile::NewFile(std::string path, ErrorKind kind, unsigned mode)
    : path_(replaceable(std::move(path), kind)),
      temporary_(path_ + ".tmp"),
      kind_(kind),
      fd_(::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode)) {
  if (fd_ < 0) fail(kind_, "write", temporary_, errno);
}

NewFile::~NewFile() {
  if (fd_ < 0) return;
  ::close(fd_);
  ::unlink(temporary_.c_str());
}

void NewFile::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t wrote = ::write(fd_, bytes.data(), bytes.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) fail(kind_, "write", temporary_, errno);
    bytes.remove_prefix(static_cast<std::size_t>(wrote));
  }
}

void NewFile::finish(Sync sync) {
  if (sync == Sync::kNow) {
    if (::fsync(fd_) != 0) fail(kind_, "fsync", temporary_, errno);
    publish(temporary_, path_, kind_);
  } else if (::rename(temporary_.c_str(), path_.c_str()) != 0) {
    fail(kind_, "rename to", path_, errno);
  }
  ::close(std::exchange(fd_, -1));
}

void append_file(const std::string& path, std::string_view bytes, ErrorKind kind) {
  const Descriptor file(path, O_WRONLY | O_APPEND, kind, "append to");
  while (!bytes.empty()) {
    const ssize_t wrote = ::write(file.get(), bytes.data(), bytes.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) fail(kind, "append to", path, errno);
    bytes.remove_prefix(static_cast<std::size_t>(wrote));
  }
  file.sync();
}

void make_folder(const std::string& path, ErrorKind kind) {
  std::error_code code;
  fs::create_directories(path, code);
  if (code) fail(kind, "make the folder", path, code.value());
}

void sync_path(const std::string& path, ErrorKind kind) {
  Descriptor(path, O_RDONLY, kind, "open").sync();
}

void publish(const std::string& temporary, const std::string& path, ErrorKind kind) {
  if (::rename(temporary.c_str(), path.c_str()) != 0) fail(kind, "rename to", path, errno);
  sync_path(parent_of(path), kind);
}

void point_link(const std::string& link, const std::string& target, ErrorKind kind) {
  const std::string temporary = link + ".tmp";
  ::unlink(temporary.c_str());
  if (::symlink(target.c_str(), temporary.c_str()) != 0) fail(kind, "link", temporary, errno);
  publish(temporary, link, kind);
}

std::uint64_t free_bytes(const std::string& path) {
  struct statvfs status {};
  if (::statvfs(path.c_str(), &status) != 0) fail(ErrorKind::kCheckpoint, "stat", path, errno);
  return std::uint64_t{status.f_bavail} * status.f_frsize;
}

std::string absolute_path(const std::string& path) {
  std::error_code code;
  const fs::path absolute = fs::absolute(path, code);
  if (code) fail(ErrorKind::kUsage, "find the working folder for", path, code.value());
  return absolute.lexically_normal().string();
}

MappedFile::MappedFile(const std::string& path, ErrorKind kind) {
  const Descriptor file(path, O_RDONLY, kind, "read");
  const auto status = file.status();
  MOESAIC_CHECK(S_ISREG(status.st_mode), kind, "cannot read {}: it is not a regular file", path);
  size_ = static_cast<std::size_t>(status.st_size);
  if (size_ == 0) return;
  void* mapped = ::mmap(nullptr, size_, PROT_READ, MAP_SHARED, file.get(), 0);
  if (mapped == MAP_FAILED) fail(kind, "map", path, errno);
  data_ = static_cast<const char*>(mapped);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

void MappedFile::release(std::uint64_t offset, std::uint64_t bytes) const {
  static const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  if (bytes == 0 || offset + bytes > size_) return;
  const std::uint64_t begin = offset / page * page;
  ::madvise(const_cast<char*>(data_) + begin, offset + bytes - begin, MADV_DONTNEED);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<char*>(data_), size_);
}

}  // namespace moesaic
