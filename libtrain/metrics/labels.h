// Labels: how a classifier did, class by class, as scikit-learn counts it (zero_division 0).
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace moesaic::metrics {

/// How often each item counts: a resampled set of items.
using Sample = std::span<const std::uint32_t>;

class Labels {
 public:
  struct Scores {
    double precision = 0, recall = 0, f1 = 0;
    std::int64_t support = 0;  // items with this answer
    bool occurs = false;       // as an answer or a prediction
  };

  /// Error(kData) for too many labels.
  void add(const std::string& answer, const std::string& predicted);

  /// By the numbers of names().
  std::vector<Scores> scores(Sample sample) const;
  /// Each label that was added, sorted, and its number.
  const std::map<std::string, std::size_t>& names() const { return numbers_; }

 private:
  struct Item {
    std::size_t answer, predicted;
  };

  std::size_t number_of(const std::string& label);

  std::map<std::string, std::size_t> numbers_;
  std::vector<Item> items_;
};

}  // namespace moesaic::metrics
