#include "monitor/line_tail.h"

#include <fcntl.h>
#include <unistd.h>

#include <utility>

namespace moesaic {
namespace {

/// Up to `most` bytes of a file from `offset` on; "" where it cannot be read.
std::string bytes_from(const std::string& path, off_t offset, std::size_t most) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return "";
  std::string bytes(most, '\0');
  const ssize_t got = ::pread(fd, bytes.data(), bytes.size(), offset);
  ::close(fd);
  bytes.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  return bytes;
}

}  // namespace

std::optional<LineTail::State> LineTail::state_of(const std::string& path) {
  struct stat now {};
  if (::stat(path.c_str(), &now) != 0 || !S_ISREG(now.st_mode)) return std::nullopt;
  return State{now.st_dev, now.st_ino, now.st_size, now.st_mtim};
}

LineTail::LineTail(std::string path) : path_(std::move(path)), at_first_(state_of(path_)) {}

bool LineTail::has_changed() const {
  const std::optional<State> now = state_of(path_);
  if (!now || !at_first_) return now.has_value();
  return now->device != at_first_->device || now->inode != at_first_->inode ||
         now->size != at_first_->size || now->written.tv_sec != at_first_->written.tv_sec ||
         now->written.tv_nsec != at_first_->written.tv_nsec;
}

LineTail::Lines LineTail::read() {
  const std::optional<State> now = state_of(path_);
  if (!now) return {};
  const bool another =
      now->device != seen_.device || now->inode != seen_.inode || now->size < seen_.size;
  if (another) {
    offset_ = 0;
    in_long_line_ = false;
  }
  seen_ = *now;
  const off_t left = now->size - offset_;
  if (left <= 0) return {.from_start = another, .whole = {}};
  const std::size_t most =
      static_cast<std::size_t>(left) < kMostBytes ? static_cast<std::size_t>(left) : kMostBytes;
  Lines lines = take(bytes_from(path_, offset_, most), most < kMostBytes);
  lines.from_start = another;
  return lines;
}

// Bytes up to the last newline count as read; what follows it waits for its own.
LineTail::Lines LineTail::take(std::string bytes, bool all_of_it) {
  Lines lines;
  std::size_t begin = 0;
  for (std::size_t end; (end = bytes.find('\n', begin)) != std::string::npos; begin = end + 1) {
    if (!in_long_line_) lines.whole.push_back(bytes.substr(begin, end - begin));
    in_long_line_ = false;
  }
  const bool no_end_in_sight = begin == 0 && !all_of_it && bytes.size() == kMostBytes;
  if (in_long_line_ || no_end_in_sight) {
    in_long_line_ = true;
    begin = bytes.size();
  }
  offset_ += static_cast<off_t>(begin);
  return lines;
}

}  // namespace moesaic
