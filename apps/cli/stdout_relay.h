// The output of mpirun on its way to this process's own. mpirun ends when its reader goes away, and
// with it the ranks, which may have trained for days: so its reader is this process.
#pragma once

#include <poll.h>

#include <array>
#include <string>

namespace moesaic::cli {

class StdoutRelay {
 public:
  /// Reads from a descriptor that does not block, writes to another one.
  StdoutRelay(int from, int to) : from_(from), to_(to) {}

  /// What to wait for: bytes, and that the other side takes those that are held.
  std::array<pollfd, 2> next() const;
  /// Moves what can be moved without waiting. True when that was something.
  bool move();
  /// From now on takes in what comes, also while the other side takes nothing: an mpirun that waits
  /// for its reader passes no signal on to the ranks.
  void hurry() { hurried_ = true; }

  /// Bytes are held that the other side has not taken yet.
  bool holds() const { return !held_.empty(); }
  /// errno of the write that failed, 0 = none has. What comes after it is dropped.
  int failure() const { return failure_; }

 private:
  bool takes() const;
  bool fill();
  bool drain();

  int from_;  // -1 = it has ended
  int to_;
  std::string held_;
  bool hurried_ = false;
  int failure_ = 0;
};

}  // namespace moesaic::cli
