// When a job hangs: none of its ranks has given a sign of life for too long.
#pragma once

#include <cstdint>
#include <optional>

namespace moesaic::cli {

class HangWatch {
 public:
  struct Options {
    double silence_s = 540;  // so long without a sign is too long
    double start_s = 540;    // before the first sign: the ranks start
    double most_gap_s = 10;  // between two looks; what goes beyond it, this process slept, too
  };

  /// Begins at `now_s`, seconds of a clock that only moves forward.
  HangWatch(const Options& options, double now_s) : options_(options), last_s_(now_s) {}

  /// `signs` of life of all ranks so far; any change is one. How long there was none, once that is
  /// too long.
  std::optional<double> look(double now_s, std::uint64_t signs);

 private:
  Options options_;
  double last_s_;
  std::uint64_t signs_ = 0;
  double silent_s_ = 0;
  bool began_ = false;
};

}  // namespace moesaic::cli
