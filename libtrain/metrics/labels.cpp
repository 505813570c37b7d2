#include "metrics/labels.h"

#include "core/error.h"

namespace moesaic::metrics {
namespace {

constexpr std::size_t kMostLabels = 10'000;

double ratio(std::int64_t part, std::int64_t whole) {
  return whole == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace

std::size_t Labels::number_of(const std::string& label) {
  const std::size_t number = numbers_.try_emplace(label, numbers_.size()).first->second;
  if (number < kMostLabels) return number;
  throw Error(ErrorKind::kData, format("there are over {} labels", kMostLabels),
              "texts that are not chosen from a few labels are judged with --task generation");
}

void Labels::add(const std::string& answer, const std::string& predicted) {
  const std::size_t right = number_of(answer);
  items_.push_back({right, number_of(predicted)});
}

std::vector<Labels::Scores> Labels::scores(Sample sample) const {
  struct Counts {
    std::int64_t right = 0, predicted = 0, answers = 0;
  };
  std::vector<Counts> counts(numbers_.size());
  for (std::size_t i = 0; i < items_.size(); ++i) {
    const Item& item = items_[i];
    counts[item.answer].answers += sample[i];
    counts[item.predicted].predicted += sample[i];
    if (item.answer == item.predicted) counts[item.answer].right += sample[i];
  }
  std::vector<Scores> scores;
  for (const Counts& c : counts) {
    scores.push_back({.precision = ratio(c.right, c.predicted),
                      .recall = ratio(c.right, c.answers),
                      .f1 = ratio(2 * c.right, c.predicted + c.answers),
                      .support = c.answers,
                      .occurs = c.predicted + c.answers > 0});
  }
  return scores;
}

}  // namespace moesaic::metrics
