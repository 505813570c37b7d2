#include "accounting/slots.h"

#include <algorithm>
#include <cmath>

namespace moesaic::accounting {
namespace {

double log_binomial_pmf(std::int64_t n, double rate, std::int64_t k) {
  const auto trials = static_cast<double>(n);
  const auto hits = static_cast<double>(k);
  return std::lgamma(trials + 1) - std::lgamma(hits + 1) - std::lgamma(trials - hits + 1) +
         hits * std::log(rate) + (trials - hits) * std::log1p(-rate);
}

// From k on the terms fall by at least their ratio at k; the rest is a geometric series at most.
double upper_tail(std::int64_t n, double rate, std::int64_t k) {
  double sum = 0;
  double term = std::exp(log_binomial_pmf(n, rate, k));
  const double odds = rate / (1 - rate);
  for (; k <= n; ++k) {
    sum += term;
    const double ratio = static_cast<double>(n - k) / static_cast<double>(k + 1) * odds;
    if (ratio < 1 && term * ratio / (1 - ratio) < 1e-12 * sum) break;
    term *= ratio;
  }
  return std::min(sum, 1.0);
}

}  // namespace

double overflow_probability(std::int64_t units, double rate, std::int64_t slots) {
  if (slots > units || rate <= 0) return slots <= 0 ? 1 : 0;
  if (slots <= 0 || rate >= 1) return 1;
  if (static_cast<double>(slots) <= static_cast<double>(units) * rate) return 1;  // at most
  return upper_tail(units, rate, slots);
}

std::int64_t slots_for(std::int64_t units, double rate, double bound) {
  std::int64_t low = 0;  // too few
  std::int64_t high = units + 1;
  while (high - low > 1) {
    const std::int64_t middle = low + (high - low) / 2;
    (overflow_probability(units, rate, middle) <= bound ? high : low) = middle;
  }
  return high;
}

}  // namespace moesaic::accounting
