// StopSignal: SIGUSR1, SIGTERM and SIGINT become a question that the training loop asks once a
// step.
#pragma once

namespace moesaic {

class StopSignal {
 public:
  /// Blocks the signals in this thread and all threads started later: made first in main.
  StopSignal();
  ~StopSignal();
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;

  /// Whether one has arrived. After the first, a second SIGINT or SIGTERM kills as usual.
  bool requested();

 private:
  int fd_ = -1;
  bool requested_ = false;
};

}  // namespace moesaic
