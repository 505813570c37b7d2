// What an attack says about a mechanism (Steinke, Nasr and Jagielski, arXiv 2305.08846: one run).
#pragma once

#include <cstdint>
#include <span>

namespace moesaic::accounting {

/// Of `canaries`, each in the data with probability 1/2, `guesses` were guessed in or out, of them
/// `correct` rightly.
struct AuditCount {
  std::int64_t canaries = 0;
  std::int64_t guesses = 0;
  std::int64_t correct = 0;
};

/// The largest epsilon that this refutes at `delta`, with `confidence`: no mechanism of a smaller
/// epsilon allows as many right guesses, but with probability 1 - confidence. 0 when nothing is
/// refuted. Throws Error(kUsage) unless correct <= guesses <= canaries.
double audit_epsilon(const AuditCount& count, double delta, double confidence = 0.95);

/// Area under the curve of true against false positives: the probability that a member scores above
/// an outsider, equal scores counting half. NaN without one of both, or with a score that is NaN.
double membership_auc(std::span<const double> members, std::span<const double> outsiders);

}  // namespace moesaic::accounting
