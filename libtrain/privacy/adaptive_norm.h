// AdaptiveNorm: a clip_norm that follows a quantile of the units' norms, by a noisy count (Andrew
// et al. 2021, arXiv 1905.03871, algorithm 1).
#pragma once

#include <cstdint>

namespace moesaic {

struct AdaptiveNorm {
  double quantile = 0.5;
  double rate = 0.2;
  double noise = 0;                // standard deviation on the count
  double expected_batch_size = 1;  // units of a step in the mean

  /// The clip_norm of the next step. `units` and `below` are the step's: how many units there were,
  /// and with a norm of at most clip_norm; `normal` is a standard normal draw. Each unit counts
  /// +1/2 or -1/2, so that one unit changes the count by 1/2; what that costs is in
  /// accounting/mechanisms.h.
  double next(double clip_norm, std::int64_t units, std::int64_t below, double normal) const;
};

}  // namespace moesaic
