// The normal distribution, also far out in its tails.
#pragma once

namespace moesaic::accounting {

/// P(Z <= z).
double normal_cdf(double z);

/// ln P(Z <= z), finite for every finite z.
double log_normal_cdf(double z);

}  // namespace moesaic::accounting
