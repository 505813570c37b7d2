#include "hang_watch.h"

#include <algorithm>

namespace moesaic::cli {

// A job that was suspended as a whole, with this process, is not silent for the time it was away.
std::optional<double> HangWatch::look(double now_s, std::uint64_t signs) {
  silent_s_ += std::min(now_s - last_s_, options_.most_gap_s);
  last_s_ = now_s;
  if (signs != signs_) {
    signs_ = signs;
    silent_s_ = 0;
    began_ = true;
  }
  const double limit = began_ ? options_.silence_s : options_.start_s;
  return silent_s_ > limit ? std::optional(silent_s_) : std::nullopt;
}

}  // namespace moesaic::cli
