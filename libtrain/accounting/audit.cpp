#include "accounting/audit.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "core/error.h"

namespace moesaic::accounting {
namespace {

// Probabilities of 0 to n hits.
std::vector<double> binomial(std::int64_t n, double p) {
  std::vector<double> mass;
  const auto trials = static_cast<double>(n);
  for (std::int64_t k = 0; k <= n; ++k) {
    const auto hits = static_cast<double>(k);
    mass.push_back(std::exp(std::lgamma(trials + 1) - std::lgamma(hits + 1) -
                            std::lgamma(trials - hits + 1) + hits * std::log(p) +
                            (trials - hits) * std::log1p(-p)));
  }
  return mass;
}

// The probability of as many right guesses under (epsilon, delta), at most (theorem 5.2).
double most_probability(const AuditCount& count, double epsilon, double delta) {
  const std::vector<double> mass = binomial(count.guesses, 1 / (1 + std::exp(-epsilon)));
  double tail = 0;
  for (auto k = static_cast<std::size_t>(count.correct); k < mass.size(); ++k) tail += mass[k];
  double below = 0;  // P[correct - i <= hits < correct]
  double most = 0;
  for (std::int64_t i = 1; i <= count.correct; ++i) {
    below += mass[static_cast<std::size_t>(count.correct - i)];
    most = std::max(most, below / static_cast<double>(i));
  }
  return tail + 2 * static_cast<double>(count.canaries) * delta * most;
}

}  // namespace

double audit_epsilon(const AuditCount& count, double delta, double confidence) {
  MOESAIC_CHECK(
      count.correct >= 0 && count.correct <= count.guesses && count.guesses <= count.canaries,
      ErrorKind::kUsage, "an audit needs correct <= guesses <= canaries, got {}, {}, {}",
      count.correct, count.guesses, count.canaries);
  const auto refuted = [&](double epsilon) {
    return most_probability(count, epsilon, delta) < 1 - confidence;
  };
  if (count.correct == 0 || !refuted(0)) return 0;
  double low = 0;
  double high = 1;
  while (high < 64 && refuted(high)) low = high, high *= 2;
  for (int i = 0; i < 60; ++i) {
    const double middle = (low + high) / 2;
    (refuted(middle) ? low : high) = middle;
  }
  return low;
}

double membership_auc(std::span<const double> members, std::span<const double> outsiders) {
  const auto is_nan = [](double score) { return std::isnan(score); };
  if (members.empty() || outsiders.empty() || std::any_of(members.begin(), members.end(), is_nan) ||
      std::any_of(outsiders.begin(), outsiders.end(), is_nan))
    return std::numeric_limits<double>::quiet_NaN();
  std::vector<double> sorted(outsiders.begin(), outsiders.end());
  std::sort(sorted.begin(), sorted.end());
  double pairs = 0;
  for (const double score : members) {
    const auto [first, last] = std::equal_range(sorted.begin(), sorted.end(), score);
    pairs += static_cast<double>(first - sorted.begin()) + 0.5 * static_cast<double>(last - first);
  }
  return pairs / (static_cast<double>(members.size()) * static_cast<double>(outsiders.size()));
}

}  // namespace moesaic::accounting
