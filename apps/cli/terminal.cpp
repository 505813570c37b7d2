#include "terminal.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <string_view>

#include "core/clock.h"
#include "core/standard_streams.h"

namespace moesaic::cli {
namespace {

constexpr std::string_view kOpen = "\x1b[?1049h\x1b[?25l";  // another screen, no cursor
constexpr std::string_view kClose = "\x1b[?25h\x1b[?1049l";

void write_all(std::string_view text) {
  while (!text.empty()) {
    const ssize_t wrote = ::write(STDOUT_FILENO, text.data(), text.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) throw_write_error("<stdout>", errno);
    text.remove_prefix(static_cast<std::size_t>(wrote));
  }
}

}  // namespace

TerminalSize terminal_size() {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0)
    return {};
  return {size.ws_col, size.ws_row};
}

bool can_draw() {
  const char* kind = std::getenv("TERM");
  return ::isatty(STDOUT_FILENO) == 1 && kind != nullptr && std::string_view(kind) != "dumb";
}

Terminal::Terminal() {
  sigset_t caught;
  sigemptyset(&caught);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH}) sigaddset(&caught, signal);
  ::sigprocmask(SIG_BLOCK, &caught, &blocked_);
  signals_ = ::signalfd(-1, &caught, SFD_CLOEXEC | SFD_NONBLOCK);
  keys_ = ::isatty(STDIN_FILENO) == 1 && ::tcgetattr(STDIN_FILENO, &settings_) == 0;
  if (keys_) {
    termios keys = settings_;
    keys.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
    keys.c_cc[VSUSP] = _POSIX_VDISABLE;  // a program that sleeps would leave its screen there
    ::tcsetattr(STDIN_FILENO, TCSANOW, &keys);
  }
  write_all(kOpen);
}

Terminal::~Terminal() {
  [[maybe_unused]] const ssize_t wrote = ::write(STDOUT_FILENO, kClose.data(), kClose.size());
  if (keys_) ::tcsetattr(STDIN_FILENO, TCSANOW, &settings_);
  if (signals_ >= 0) ::close(signals_);
  ::sigprocmask(SIG_SETMASK, &blocked_, nullptr);
}

void Terminal::draw(const std::vector<std::string>& lines) const {
  std::string frame = "\x1b[H";
  for (std::size_t i = 0; i < lines.size(); ++i)
    frame += (i > 0 ? "\r\n" : "") + lines[i] + "\x1b[K";
  write_all(frame + "\x1b[J");
}

Terminal::Event Terminal::wait(double seconds) {
  const Stopwatch watch;
  while (true) {
    const double left = seconds - watch.seconds();
    if (left <= 0) return Event::kTime;
    std::array<pollfd, 2> sources = {pollfd{signals_, POLLIN, 0},
                                     pollfd{keys_ ? STDIN_FILENO : -1, POLLIN, 0}};
    if (::poll(sources.data(), sources.size(), static_cast<int>(left * 1000) + 1) <= 0) continue;
    if ((sources[0].revents & POLLIN) != 0) return on_signal();
    if (sources[1].revents == 0) continue;
    char key = 0;
    if (::read(STDIN_FILENO, &key, 1) <= 0 || key == 'q' || key == 'Q') return Event::kQuit;
  }
}

Terminal::Event Terminal::on_signal() const {
  signalfd_siginfo info{};
  const bool got = ::read(signals_, &info, sizeof info) == sizeof info;
  return got && info.ssi_signo == SIGWINCH ? Event::kResize : Event::kQuit;
}

}  // namespace moesaic::cli
