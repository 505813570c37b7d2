#include "stdout_relay.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>

namespace moesaic::cli {

namespace {
constexpr std::size_t kMostHeld = std::size_t{4} << 20U;
}  // namespace

bool StdoutRelay::takes() const {
  return from_ >= 0 && (held_.empty() || (hurried_ && held_.size() < kMostHeld));
}

std::array<pollfd, 2> StdoutRelay::next() const {
  return {pollfd{takes() ? from_ : -1, POLLIN, 0}, pollfd{holds() ? to_ : -1, POLLOUT, 0}};
}

bool StdoutRelay::move() {
  const bool filled = takes() && fill();
  return (holds() && drain()) || filled;
}

bool StdoutRelay::fill() {
  std::array<char, 65536> buffer;
  const ssize_t got = ::read(from_, buffer.data(), buffer.size());
  if (got == 0) from_ = -1;
  if (got <= 0) return false;
  if (failure_ == 0) held_.append(buffer.data(), static_cast<std::size_t>(got));
  return true;
}

// A pipe that has room takes PIPE_BUF bytes without waiting: a reader that sleeps must not make
// this process deaf to signals.
bool StdoutRelay::drain() {
  pollfd room{to_, POLLOUT, 0};
  if (::poll(&room, 1, 0) < 1) return false;
  const ssize_t wrote = ::write(to_, held_.data(), std::min<std::size_t>(held_.size(), PIPE_BUF));
  if (wrote >= 0) {
    held_.erase(0, static_cast<std::size_t>(wrote));
    return true;
  }
  if (errno == EINTR || errno == EAGAIN) return false;
  failure_ = errno;
  held_.clear();
  return true;
}

}  // namespace moesaic::cli
