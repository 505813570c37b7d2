// Child processes from argument arrays; no shell is ever involved.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace moesaic::cli {

struct Command {
  std::vector<std::string> argv;                                 // argv[0] is a path
  std::vector<std::pair<std::string, std::string>> environment;  // added to what is inherited

  /// "A=1 program 'an argument'", to be pasted into a shell.
  std::string shell_text() const;
};

/// Becomes that program. Error(kDevice) when it cannot be run.
[[noreturn]] void replace_process(const Command& command);

/// A child in a process group of its own, but for one that reads from the terminal, which only the
/// group in the foreground may. Its stderr comes here through a pipe. It gets SIGTERM when this
/// process dies, however it dies.
class ChildProcess {
 public:
  enum class Stdin {
    kNull,
    kInherit,
  };
  enum class Stdout {
    kInherit,
    kPipe,      // comes here through a pipe of its own
    kToStderr,  // into the pipe of stderr
  };
  struct Streams {
    Stdin in = Stdin::kNull;
    Stdout out = Stdout::kInherit;
  };

  /// Error(kDevice) when the program cannot be run.
  ChildProcess(const Command& command, const Streams& streams);
  /// Kills and reaps the child, with its group, when it still runs.
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  pid_t pid() const { return pid_; }
  // Non-blocking.
  int stderr_pipe() const { return errors_; }
  int stdout_pipe() const { return output_; }  // -1 = it has none
  void send(int signal) const;
  /// To its group, where it has one of its own.
  void send_group(int signal) const;

  /// Status as of waitpid(2) once the child has ended; never waits.
  std::optional<int> ended();

 private:
  void close_pipes() const;

  pid_t pid_ = -1;
  bool own_group_;
  int errors_ = -1;
  int output_ = -1;
  std::optional<int> status_;
};

struct Captured {
  int exit_code = -1;  // -1: killed, or not done in time
  std::string output;  // stdout and stderr, the first 64 KiB
};

/// Runs a short program to its end, at most `timeout_s`; a program that cannot be run has code -1.
Captured run_captured(const Command& command, double timeout_s);

}  // namespace moesaic::cli
