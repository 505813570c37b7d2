#include "data/mixture.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <tuple>

#include "core/error.h"
#include "core/random.h"

namespace moesaic {
namespace {

double checked_sum(const std::vector<double>& weights) {
  double sum = 0;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    MOESAIC_CHECK(std::isfinite(weights[i]) && weights[i] > 0, ErrorKind::kRecipe,
                  "data.train[{}].weight is {}, it must be a positive number", i, weights[i]);
    sum += weights[i];
  }
  MOESAIC_CHECK(std::isfinite(sum), ErrorKind::kRecipe, "the sum of data.train weights is {}", sum);
  return sum;
}

std::int64_t shuffled(std::int64_t index, std::int64_t size, const RandomKey& key) {
  return static_cast<std::int64_t>(
      permuted(static_cast<std::uint64_t>(index), static_cast<std::uint64_t>(size), key));
}

}  // namespace

Mixture::Mixture(std::vector<std::int64_t> sizes, const std::vector<double>& weights,
                 const Options& options)
    : sizes_(std::move(sizes)), options_(options) {
  MOESAIC_ASSERT(!sizes_.empty() && sizes_.size() == weights.size());
  MOESAIC_ASSERT(*std::min_element(sizes_.begin(), sizes_.end()) > 0);
  spread(weights);
}

void Mixture::spread(const std::vector<double>& weights) {
  const double sum = checked_sum(weights);
  if (sizes_.size() == 1) return;
  double before = 0;
  for (std::size_t s = 0; s < weights.size(); ++s) {
    const double block = static_cast<double>(kBlock);
    const auto first = std::llround(block * (before / sum));
    before += weights[s];
    const bool last = s + 1 == weights.size();
    quotas_.push_back((last ? kBlock : std::llround(block * (before / sum))) - first);
    MOESAIC_CHECK(quotas_.back() > 0, ErrorKind::kRecipe,
                  "data.train[{}].weight is {} of {} in all: less than one of {} sequences", s,
                  weights[s], sum, kBlock);
    for (std::int64_t rank = 0; rank < quotas_.back(); ++rank) slots_.push_back({s, rank});
  }
  // Rank r of q draws belongs in the middle of the r-th of q equal parts: (2r + 1) / 2q, compared
  // without rounding.
  std::sort(slots_.begin(), slots_.end(), [this](const Slot& a, const Slot& b) {
    return std::tuple((2 * a.rank + 1) * quotas_[b.source], a.source) <
           std::tuple((2 * b.rank + 1) * quotas_[a.source], b.source);
  });
}

Draw Mixture::draw(std::int64_t n) const {
  if (sizes_.size() == 1) return {0, sequence(0, n)};
  const std::int64_t block = n / kBlock;
  std::int64_t position = n % kBlock;
  if (options_.shuffle) {
    position = shuffled(position, kBlock,
                        RandomKey(options_.seed, RandomStream::kShuffle,
                                  static_cast<std::uint64_t>(block), "mixture"));
  }
  const Slot& slot = slots_[static_cast<std::size_t>(position)];
  return {slot.source, sequence(slot.source, block * quotas_[slot.source] + slot.rank)};
}

std::int64_t Mixture::sequence(std::size_t source, std::int64_t k) const {
  const std::int64_t size = sizes_[source];
  if (!options_.shuffle) return k % size;
  const RandomKey key(options_.seed, RandomStream::kShuffle, static_cast<std::uint64_t>(k / size),
                      format("source {}", source));
  return shuffled(k % size, size, key);
}

}  // namespace moesaic
