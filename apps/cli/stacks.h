// What processes are doing: their stacks, for the one who looks for the cause of a hang.
#pragma once

#include <sys/types.h>

#include <string>

#include "core/clock.h"

namespace moesaic::cli {

class StackReader {
 public:
  /// Debuggers may take `budget_s` in all: one that reads all symbols first takes minutes. Once it
  /// is spent, and where there is none or none is allowed, there is what the kernel says.
  explicit StackReader(double budget_s) : budget_s_(budget_s) {}

  /// State, place in the kernel and, by eu-stack (elfutils) or else gdb, the stack of every thread.
  std::string read(pid_t process) const;

 private:
  std::string by_debugger(pid_t process) const;

  double budget_s_;
  Stopwatch spent_;
};

}  // namespace moesaic::cli
