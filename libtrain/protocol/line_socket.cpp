#include "protocol/line_socket.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <utility>

#include "core/clock.h"
#include "core/error.h"

namespace moesaic::sites {
namespace {

constexpr std::size_t kPieceBytes = 64U << 10;
constexpr time_t kWriteSeconds = 60;

}  // namespace

LineSocket::LineSocket(int socket, std::string other) : socket_(socket), other_(std::move(other)) {
  const timeval patience{kWriteSeconds, 0};
  const int set = ::setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  const int failure = errno;
  if (set == 0) return;
  close();
  throw Error(ErrorKind::kUsage, format("no socket to {}: {}", other_, std::strerror(failure)));
}

LineSocket::~LineSocket() { close(); }

void LineSocket::close() {
  if (socket_ >= 0) ::close(std::exchange(socket_, -1));
}

bool LineSocket::is_gone() const {
  pollfd look{socket_, POLLRDHUP, 0};
  return ::poll(&look, 1, 0) > 0;
}

bool LineSocket::receive(double wait_s) {
  pollfd ready{socket_, POLLIN, 0};
  const int wait_ms = static_cast<int>(std::ceil(std::clamp(wait_s, 0.0, 1e6) * 1000));
  if (::poll(&ready, 1, wait_ms) <= 0) return false;
  char piece[kPieceBytes];
  const ssize_t got = ::recv(socket_, piece, sizeof piece, 0);
  if (got < 0 && errno == EINTR) return false;
  MOESAIC_CHECK(got > 0, ErrorKind::kCommunication, "{} is gone", other_);
  held_.append(piece, static_cast<std::size_t>(got));
  return true;
}

std::optional<std::string> LineSocket::read(double wait_s) {
  const Stopwatch watch;
  for (;;) {
    const std::size_t end = held_.find('\n', searched_);
    if (end != std::string::npos && end <= kLineBytes) {
      std::string line = held_.substr(0, end);
      held_.erase(0, end + 1);
      searched_ = 0;
      return line;
    }
    searched_ = held_.size();
    MOESAIC_CHECK(held_.size() <= kLineBytes, ErrorKind::kCommunication,
                  "{} sent a line of more than {} bytes", other_, kLineBytes);
    const double left = wait_s - watch.seconds();
    if (!receive(left) && left <= 0) return std::nullopt;
  }
}

void LineSocket::write(const std::string& line) {
  MOESAIC_CHECK(line.size() <= kLineBytes, ErrorKind::kData,
                "a line of {} bytes for {}, at most {} are sent", line.size(), other_, kLineBytes);
  const std::string text = line + "\n";
  for (std::size_t sent = 0; sent < text.size();) {
    const ssize_t took = ::send(socket_, text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
    if (took < 0 && errno == EINTR) continue;
    MOESAIC_CHECK(took >= 0, ErrorKind::kCommunication, "{} {}", other_,
                  errno == EAGAIN ? "takes nothing" : "is gone");
    sent += static_cast<std::size_t>(took);
  }
}

}  // namespace moesaic::sites
