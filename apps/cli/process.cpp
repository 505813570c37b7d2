#include "process.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include "core/clock.h"
#include "core/error.h"

namespace moesaic::cli {
namespace {

std::string quoted(const std::string& text) {
  const auto plain = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || std::strchr("_-+./:=,@%", c);
  };
  if (!text.empty() && std::all_of(text.begin(), text.end(), plain)) return text;
  std::string result = "'";
  for (const char c : text) c == '\'' ? result += "'\\''" : result += c;
  return result + "'";
}

// Everything the child needs is made before fork.
std::vector<char*> pointers(const std::vector<std::string>& argv) {
  std::vector<char*> result;
  for (const std::string& argument : argv) result.push_back(const_cast<char*>(argument.c_str()));
  result.push_back(nullptr);
  return result;
}

void add_environment(const Command& command) {
  for (const auto& [name, value] : command.environment) ::setenv(name.c_str(), value.c_str(), 1);
}

Error cannot_run(const Command& command, int code) {
  return {ErrorKind::kDevice, format("cannot run {}: {}", command.argv[0], std::strerror(code))};
}

struct Pipe {
  int read_end = -1;
  int write_end = -1;
  Pipe() {
    int ends[2];
    MOESAIC_CHECK(::pipe2(ends, O_CLOEXEC) == 0, ErrorKind::kDevice, "cannot make a pipe: {}",
                  std::strerror(errno));
    read_end = ends[0], write_end = ends[1];
  }
  /// For the parent: the end that it reads, non-blocking.
  int keep_reading() const {
    ::close(write_end);
    ::fcntl(read_end, F_SETFL, O_NONBLOCK);
    return read_end;
  }
};

// Where the child's output and errors go.
struct Outputs {
  int out = -1;  // -1 = where this process's goes
  int errors = -1;
};

// Only returns to report a failed exec through `failure`.
void become(const Command& command, char* const* argv, pid_t parent, bool null_input,
            bool own_group, const Outputs& outputs, int failure) {
  if (own_group) ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (::getppid() != parent) ::_exit(1);  // it died before the line above
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  for (const int ignored : {SIGPIPE, SIGXFSZ}) std::signal(ignored, SIG_DFL);  // exec would keep it
  if (null_input) ::dup2(::open("/dev/null", O_RDONLY), STDIN_FILENO);
  ::dup2(outputs.errors, STDERR_FILENO);
  if (outputs.out >= 0) ::dup2(outputs.out, STDOUT_FILENO);
  add_environment(command);
  ::execv(argv[0], argv);
  const int code = errno;
  [[maybe_unused]] const ssize_t told = ::write(failure, &code, sizeof code);
  ::_exit(127);
}

}  // namespace

std::string Command::shell_text() const {
  std::string text;
  for (const auto& [name, value] : environment) text += name + "=" + quoted(value) + " ";
  for (const std::string& argument : argv) text += quoted(argument) + " ";
  text.pop_back();
  return text;
}

void replace_process(const Command& command) {
  add_environment(command);
  const std::vector<char*> argv = pointers(command.argv);
  ::execv(argv[0], argv.data());
  throw cannot_run(command, errno);
}

ChildProcess::ChildProcess(const Command& command, const Streams& streams)
    : own_group_(streams.in == Stdin::kNull || ::isatty(STDIN_FILENO) == 0) {
  const std::vector<char*> argv = pointers(command.argv);
  const Pipe errors, failure;
  const std::optional<Pipe> output =
      streams.out == Stdout::kPipe ? std::make_optional<Pipe>() : std::nullopt;
  Outputs outputs{-1, errors.write_end};
  if (output) outputs.out = output->write_end;
  if (streams.out == Stdout::kToStderr) outputs.out = errors.write_end;
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  if (pid_ == 0) {
    become(command, argv.data(), parent, streams.in == Stdin::kNull, own_group_, outputs,
           failure.write_end);
  }
  ::close(failure.write_end);
  errors_ = errors.keep_reading();
  if (output) output_ = output->keep_reading();
  int code = pid_ < 0 ? errno : 0;
  if (pid_ > 0) {
    if (own_group_)
      ::setpgid(pid_, pid_);  // also here: a signal to the group may come before the child ran
    while (::read(failure.read_end, &code, sizeof code) < 0 && errno == EINTR) {
    }
  }
  ::close(failure.read_end);
  if (code == 0) return;
  if (pid_ > 0) ::waitpid(pid_, nullptr, 0);
  close_pipes();
  throw cannot_run(command, code);
}

ChildProcess::~ChildProcess() {
  if (!ended()) {
    send_group(SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  close_pipes();
}

void ChildProcess::close_pipes() const {
  ::close(errors_);
  if (output_ >= 0) ::close(output_);
}

void ChildProcess::send(int signal) const {
  if (!status_) ::kill(pid_, signal);
}

void ChildProcess::send_group(int signal) const {
  if (own_group_) {
    ::kill(-pid_, signal);
  } else {
    send(signal);
  }
}

std::optional<int> ChildProcess::ended() {
  int status = 0;
  if (!status_ && ::waitpid(pid_, &status, WNOHANG) == pid_) status_ = status;
  return status_;
}

Captured run_captured(const Command& command, double timeout_s) {
  constexpr std::size_t kMostBytes = 64 << 10;
  Captured result;
  try {
    ChildProcess child(command, {.out = ChildProcess::Stdout::kToStderr});
    const Stopwatch watch;
    std::optional<int> status;
    while (watch.seconds() < timeout_s) {
      pollfd ready{child.stderr_pipe(), POLLIN, 0};
      ::poll(&ready, 1, 10);
      char buffer[4096];
      const ssize_t got = ::read(child.stderr_pipe(), buffer, sizeof buffer);
      const std::size_t room = kMostBytes - result.output.size();
      if (got > 0) result.output.append(buffer, std::min(static_cast<std::size_t>(got), room));
      if (got <= 0 && status) break;
      status = child.ended();
    }
    if (status && WIFEXITED(*status)) result.exit_code = WEXITSTATUS(*status);
  } catch (const Error& error) {
    result.output = error.what();
  }
  return result;
}

}  // namespace moesaic::cli
