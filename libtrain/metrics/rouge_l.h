// ROUGE-L (Lin 2004) as the package rouge-score computes it by default: words of the letters a-z
// and digits in lower case, no stemming, the F-measure of the longest common subsequence.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "metrics/answer.h"

namespace moesaic::metrics {

/// The words that ROUGE compares.
std::vector<std::string> rouge_words(std::string_view text);

/// A fraction: that of the best reference.
double rouge_l(const Answer& answer);

}  // namespace moesaic::metrics
