// BLEU (Papineni et al. 2002) as sacrebleu 2 computes it by default: the tokenizer 13a, n-grams up
// to 4 over the whole corpus, exponential smoothing, mixed case, several references.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "metrics/answer.h"

namespace moesaic::metrics {

/// Tokens with one blank between them, as mteval-v13a.pl makes them.
std::string tokenize_13a(std::string_view text);

inline constexpr std::size_t kBleuStatistics = 10;

/// Of one answer: its tokens; those of the reference of the nearest length, the shorter of two; for
/// n = 1 to 4 the n-grams that a reference has too, then for n = 1 to 4 all n-grams.
void bleu_statistics(const Answer& answer, std::span<double> statistics);

/// In percent, from the sum of the statistics.
double bleu_of(std::span<const double> sum);

}  // namespace moesaic::metrics
