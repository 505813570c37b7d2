// A terminal that a program draws whole frames on, given back as it was.
#pragma once

#include <termios.h>

#include <csignal>
#include <cstddef>
#include <string>
#include <vector>

namespace moesaic::cli {

struct TerminalSize {
  std::size_t columns = 80, rows = 24;
};

/// Of the terminal at standard output; the default where it does not say.
TerminalSize terminal_size();

/// Whether frames can be drawn on standard output.
bool can_draw();

class Terminal {
 public:
  enum class Event { kTime, kResize, kQuit };

  /// Standard output must be a terminal. Its screen is put aside, keys are read one by one.
  Terminal();
  /// The screen is as it was before.
  ~Terminal();
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  /// Lines that fit. Throws as throw_write_error() when the terminal is gone.
  void draw(const std::vector<std::string>& lines) const;

  /// kQuit on q, Ctrl-C and signals that end a program, kTime after so many seconds.
  Event wait(double seconds);

 private:
  Event on_signal() const;

  int signals_ = -1;    // a descriptor that they can be read from
  sigset_t blocked_{};  // as before
  bool keys_ = false;   // standard input is a terminal
  termios settings_{};  // as before
};

}  // namespace moesaic::cli
