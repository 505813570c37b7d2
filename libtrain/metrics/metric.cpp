#include "metrics/metric.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "core/error.h"
#include "metrics/bleu.h"
#include "metrics/chrf.h"
#include "metrics/rouge_l.h"

namespace moesaic::metrics {
namespace {

// A function of the sum of what is counted for each item.
class SumMetric : public Metric {
 public:
  using Count = std::function<void(const Answer&, std::span<double>)>;
  using Value = std::function<double(std::span<const double> sum, double items)>;

  SumMetric(std::size_t width, Count count, Value value)
      : width_(width), count_(std::move(count)), value_(std::move(value)) {}

  void add(const Answer& answer) override {
    counts_.resize(counts_.size() + width_);
    count_(answer, std::span(counts_).last(width_));
  }

  double value(Sample sample) const override {
    std::vector<double> sum(width_);
    double items = 0;
    for (std::size_t i = 0; i < sample.size(); ++i) {
      if (sample[i] == 0) continue;
      items += sample[i];
      for (std::size_t k = 0; k < width_; ++k) sum[k] += sample[i] * counts_[i * width_ + k];
    }
    return value_(sum, items);
  }

 private:
  std::size_t width_;
  Count count_;
  Value value_;
  std::vector<double> counts_;  // [items, width]
};

std::unique_ptr<Metric> mean_of(double (*score)(const Answer&)) {
  return std::make_unique<SumMetric>(
      1, [score](const Answer& answer, std::span<double> count) { count[0] = score(answer); },
      [](std::span<const double> sum, double items) { return sum[0] / items; });
}

std::unique_ptr<Metric> corpus_metric(std::size_t width,
                                      void (*count)(const Answer&, std::span<double>),
                                      double (*value)(std::span<const double>)) {
  return std::make_unique<SumMetric>(
      width, count, [value](std::span<const double> sum, double) { return value(sum); });
}

// The mean over the classes that occur, each counting the same.
class MacroMetric : public Metric {
 public:
  explicit MacroMetric(double Labels::Scores::*score) : score_(score) {}

  void add(const Answer& answer) override { labels_.add(answer.expected.at(0), answer.prediction); }

  double value(Sample sample) const override {
    double sum = 0, classes = 0;
    for (const Labels::Scores& scores : labels_.scores(sample)) {
      if (!scores.occurs) continue;
      sum += scores.*score_;
      ++classes;
    }
    return sum / classes;
  }

 private:
  double Labels::Scores::*score_;
  Labels labels_;
};

double equals_one(const Answer& answer) {
  return static_cast<double>(
      std::count(answer.expected.begin(), answer.expected.end(), answer.prediction) > 0);
}

double has_all(const Answer& answer) {
  const auto stands = [&](const std::string& item) {
    return answer.prediction.find(item) != std::string::npos;
  };
  return static_cast<double>(std::all_of(answer.expected.begin(), answer.expected.end(), stands));
}

}  // namespace

std::unique_ptr<Metric> make_metric(const std::string& name) {
  if (name == "exact_match" || name == "accuracy") return mean_of(&equals_one);
  if (name == "case_accuracy") return mean_of(&has_all);
  if (name == "rouge_l") return mean_of(&rouge_l);
  if (name == "bleu") return corpus_metric(kBleuStatistics, &bleu_statistics, &bleu_of);
  if (name == "chrf") return corpus_metric(kChrfStatistics, &chrf_statistics, &chrf_of);
  if (name == "precision") return std::make_unique<MacroMetric>(&Labels::Scores::precision);
  if (name == "recall") return std::make_unique<MacroMetric>(&Labels::Scores::recall);
  MOESAIC_ASSERT(name == "f1");
  return std::make_unique<MacroMetric>(&Labels::Scores::f1);
}

}  // namespace moesaic::metrics
