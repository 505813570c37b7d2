#include "privacy/adaptive_norm.h"

#include <cmath>

namespace moesaic {

double AdaptiveNorm::next(double clip_norm, std::int64_t units, std::int64_t below,
                          double normal) const {
  const double centred = static_cast<double>(below) - 0.5 * static_cast<double>(units);
  const double share = 0.5 + (centred + noise * normal) / expected_batch_size;
  return clip_norm * std::exp(-rate * (share - quantile));
}

}  // namespace moesaic
