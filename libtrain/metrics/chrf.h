// chrF2 (Popović 2015) as sacrebleu 2 computes it by default: n-grams of 1 to 6 characters without
// white space, beta 2, orders that occur, mixed case, of several references the best.
#pragma once

#include <span>

#include "metrics/answer.h"

namespace moesaic::metrics {

inline constexpr std::size_t kChrfStatistics = 18;

/// Of one answer, for n = 1 to 6: its n-grams, those of the reference, those of both. The reference
/// is the one with the best chrF, the first of equal ones.
void chrf_statistics(const Answer& answer, std::span<double> statistics);

/// In percent, from the sum of the statistics.
double chrf_of(std::span<const double> sum);

}  // namespace moesaic::metrics
