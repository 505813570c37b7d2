#include "core/standard_streams.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>

namespace moesaic {
namespace {

constexpr const char* kName = "<stdout>";

// Of an earlier write that only left its mark: the errno is gone, but most failures stay.
int reason_of_failure() {
  pollfd output{STDOUT_FILENO, POLLOUT, 0};
  if (::poll(&output, 1, 0) == 1 && (output.revents & POLLERR) != 0) return EPIPE;
  return ::write(STDOUT_FILENO, "", 0) < 0 ? errno : EIO;
}

}  // namespace

NoReader::NoReader(const std::string& name)
    : Error(ErrorKind::kCheckpoint, format("cannot write {}: {}", name, std::strerror(EPIPE))) {}

void open_standard_streams() {
  for (const int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(descriptor, F_GETFD) != -1 || errno != EBADF) continue;
    // The lowest number that is free is this one: those below it are open by now.
    if (::open("/dev/null", descriptor == STDIN_FILENO ? O_RDONLY : O_WRONLY) < 0) return;
  }
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
}

void throw_write_error(const std::string& name, int code) {
  if (code == EPIPE) throw NoReader(name);
  const bool full = code == ENOSPC || code == EDQUOT;
  throw Error(ErrorKind::kCheckpoint, format("cannot write {}: {}", name, std::strerror(code)),
              full ? "free some space, or send the output elsewhere" : "");
}

void write_stdout(std::string_view text) {
  const bool all = std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
  if (!all) throw_write_error(kName, errno);
}

void flush_stdout() {
  const bool failed_before = std::ferror(stdout) != 0;
  const int code = std::fflush(stdout) == 0 ? 0 : errno;
  if (code != 0 || failed_before) throw_write_error(kName, code != 0 ? code : reason_of_failure());
}

std::string console_lost(int code) {
  return format("standard output cannot be written ({}): no more progress is shown",
                std::strerror(code));
}

}  // namespace moesaic
