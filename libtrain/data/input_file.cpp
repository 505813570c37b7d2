#include "data/input_file.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "core/error.h"
#include "core/file_kind.h"

namespace moesaic {
namespace {

constexpr std::size_t kBlockBytes = std::size_t{1} << 20U;

[[noreturn]] void fail(const std::string& path, int code) {
  throw Error(ErrorKind::kData, format("cannot read {}: {}", path, std::strerror(code)));
}

}  // namespace

InputFile::InputFile(const std::string& path) : path_(path), buffer_(kBlockBytes) {
  // O_NONBLOCK: opening a pipe must not wait for its writer; it is refused below.
  descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor_ < 0) fail(path, errno);
  struct stat status {};
  const bool known = ::fstat(descriptor_, &status) == 0;
  if (!known || !S_ISREG(status.st_mode)) {
    const int code = errno;
    ::close(descriptor_);
    if (!known) fail(path, code);
    throw Error(ErrorKind::kData, format("cannot read {}: it is not a regular file", path));
  }
  size_ = static_cast<std::uint64_t>(status.st_size);
}

InputFile::InputFile(double idle_s, std::function<void()> idle)
    : path_("<stdin>"),
      descriptor_(::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0)),
      idle_s_(idle_s),
      idle_(std::move(idle)),
      buffer_(kBlockBytes) {
  if (descriptor_ < 0) fail(path_, errno);
}

InputFile::~InputFile() { ::close(descriptor_); }

void InputFile::wait_for_bytes() const {
  pollfd input{descriptor_, POLLIN, 0};
  while (::poll(&input, 1, static_cast<int>(1000 * idle_s_)) == 0) idle_();
}

std::string_view InputFile::next_block() {
  for (;;) {
    if (idle_) wait_for_bytes();
    const ssize_t got = ::read(descriptor_, buffer_.data(), buffer_.size());
    if (got >= 0) return {buffer_.data(), static_cast<std::size_t>(got)};
    if (errno != EINTR) fail(path_, errno);
  }
}

bool InputFile::next_line(std::string& line, std::size_t max_bytes) {
  line.clear();
  ++line_number_;
  for (bool any = false;;) {
    if (rest_.empty() && (rest_ = next_block()).empty()) return any;
    any = true;
    const std::size_t end = rest_.find('\n');
    line.append(rest_.substr(0, end));
    MOESAIC_CHECK(line.size() <= max_bytes, ErrorKind::kData,
                  "{}: a line of over {} bytes; give each document a line of its own", where(),
                  max_bytes);
    rest_ = end == std::string_view::npos ? std::string_view{} : rest_.substr(end + 1);
    if (end == std::string_view::npos) continue;
    if (line.ends_with('\r')) line.pop_back();
    return true;
  }
}

bool InputFile::next_filled_line(std::string& line, std::size_t max_bytes) {
  if (line_number_ == 0 && rest_.empty()) require_plain_text(rest_ = next_block(), path_);
  while (next_line(line, max_bytes)) {
    if (line.find_first_not_of(" \t\r") != std::string::npos) return true;
  }
  return false;
}

std::string InputFile::rest(std::uint64_t max_bytes) {
  std::string text;
  while (!rest_.empty() || !(rest_ = next_block()).empty()) {
    text.append(std::exchange(rest_, {}));
    MOESAIC_CHECK(text.size() <= max_bytes, ErrorKind::kData, "{}: over {} bytes of text", path_,
                  max_bytes);
  }
  return text;
}

std::string InputFile::where() const { return format("{}:{}", path_, line_number_); }

}  // namespace moesaic
