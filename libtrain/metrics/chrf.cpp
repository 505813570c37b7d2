#include "metrics/chrf.h"

#include <algorithm>
#include <array>
#include <vector>

#include "metrics/ngrams.h"

namespace moesaic::metrics {
namespace {

constexpr std::size_t kMostChrfCharacters = 6;  // of an n-gram
constexpr double kRecallWeight = 4;             // beta squared

// The n-grams of a text, by n - 1.
class CharacterNgrams {
 public:
  explicit CharacterNgrams(std::string_view text)
      : text_(joined(words(text), "")), characters_(characters(text_)) {
    for (std::size_t n = 1; n <= kMostChrfCharacters; ++n)
      counts_[n - 1] = count_ngrams(characters_, n);
  }
  CharacterNgrams(const CharacterNgrams&) = delete;  // the counts point into the text
  CharacterNgrams& operator=(const CharacterNgrams&) = delete;

  const NgramCounts& of(std::size_t n) const { return counts_[n - 1]; }
  double total(std::size_t n) const {
    return characters_.size() < n ? 0.0 : static_cast<double>(characters_.size() - n + 1);
  }

 private:
  std::string text_;
  Pieces characters_;
  std::array<NgramCounts, kMostChrfCharacters> counts_;
};

}  // namespace

void chrf_statistics(const Answer& answer, std::span<double> statistics) {
  const CharacterNgrams prediction(answer.prediction);
  double best_chrf = -1;
  for (const std::string& text : answer.expected) {
    const CharacterNgrams reference(text);
    std::array<double, kChrfStatistics> counts{};
    for (std::size_t n = 1; n <= kMostChrfCharacters; ++n) {
      const std::size_t at = 3 * (n - 1);
      counts[at] = reference.total(n) > 0 ? prediction.total(n) : 0.0;
      counts[at + 1] = reference.total(n);
      counts[at + 2] = static_cast<double>(common_ngrams(prediction.of(n), reference.of(n)));
    }
    const double chrf = chrf_of(counts);
    if (chrf <= best_chrf) continue;
    best_chrf = chrf;
    std::copy(counts.begin(), counts.end(), statistics.begin());
  }
}

double chrf_of(std::span<const double> sum) {
  double precision = 0, recall = 0, orders = 0;
  for (std::size_t at = 0; at < kChrfStatistics; at += 3) {
    if (sum[at] == 0 || sum[at + 1] == 0) continue;
    precision += sum[at + 2] / sum[at];
    recall += sum[at + 2] / sum[at + 1];
    ++orders;
  }
  if (precision + recall == 0) return 0;
  precision /= orders;
  recall /= orders;
  return 100 * (1 + kRecallWeight) * precision * recall / (kRecallWeight * precision + recall);
}

}  // namespace moesaic::metrics
