// A Poisson sample in a bounded number of slots (as in Chua et al., arXiv 2411.04205).
#pragma once

#include <cstdint>

namespace moesaic::accounting {

/// P(X >= slots), X binomial: how many of `units` are drawn at `rate`. If as many units besides
/// the one in question fill all slots, what is left out may depend on it, and nothing is promised
/// of such a step. Whether that happens is the same on both neighbours, so the probability of such
/// a step is all that it costs: it goes to the losses without bound (Event::overflow). 0 <= rate
/// <= 1.
double overflow_probability(std::int64_t units, double rate, std::int64_t slots);

/// The least number of slots for which it is at most `bound` > 0; at most `units` + 1.
std::int64_t slots_for(std::int64_t units, double rate, double bound);

}  // namespace moesaic::accounting
