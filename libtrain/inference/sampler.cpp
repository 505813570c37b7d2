#include "inference/sampler.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/error.h"
#include "core/random.h"

namespace moesaic {
namespace {

using Candidates = std::vector<Sampler::Candidate>;

bool is_before(const Sampler::Candidate& a, const Sampler::Candidate& b) {
  return a.probability != b.probability ? a.probability > b.probability : a.id < b.id;
}

void keep_top_k(Candidates& all, std::int64_t k) {
  if (k <= 0 || k >= std::ssize(all)) return;
  Candidates sorted = all;
  std::nth_element(sorted.begin(), sorted.begin() + (k - 1), sorted.end(), is_before);
  const double least = sorted[static_cast<std::size_t>(k - 1)].probability;
  std::erase_if(all, [&](const Sampler::Candidate& c) { return c.probability < least; });
}

void require_numbers(const at::Tensor& logits_V) {
  MOESAIC_CHECK(
      std::isfinite(logits_V.max().item<double>()), ErrorKind::kCheckpoint,
      "the model's logits are NaN or infinite: its weights are damaged, or --precision is "
      "too low for them");
}

// Candidates, most probable first, sorted as far as they are looked at: of a large vocabulary that
// is seldom far.
class Ranking {
 public:
  explicit Ranking(Candidates all) : all_(std::move(all)) {}

  std::size_t size() const { return all_.size(); }
  const Sampler::Candidate& operator[](std::size_t i) {
    sort_to(i + 1);
    return all_[i];
  }
  void resize(std::size_t count) {
    sort_to(count);
    all_.resize(count);
    sorted_ = count;
  }
  /// All of them, sorted.
  Candidates& sorted() {
    sort_to(size());
    return all_;
  }
  /// Without those below.
  void keep_from(double probability) {
    std::erase_if(all_, [&](const Sampler::Candidate& c) { return c.probability < probability; });
    sorted_ = std::min(sorted_, size());  // what is gone stood at the end
  }

 private:
  void sort_to(std::size_t count) {
    if (count <= sorted_) return;
    const std::size_t end = std::min(size(), std::max({count, 2 * sorted_, std::size_t{64}}));
    const auto at = [&](std::size_t i) { return all_.begin() + static_cast<std::ptrdiff_t>(i); };
    if (end < size()) std::nth_element(at(sorted_), at(end), all_.end(), is_before);
    std::sort(at(sorted_), at(end), is_before);
    sorted_ = end;
  }

  Candidates all_;
  std::size_t sorted_ = 0;
};

// From scores to probabilities.
void normalise(Candidates& all) {
  double highest = -INFINITY, sum = 0;
  for (const auto& c : all) highest = std::max(highest, c.probability);
  for (auto& c : all) sum += c.probability = std::exp(c.probability - highest);
  for (auto& c : all) c.probability /= sum;
}

void rescale(Candidates& sorted) {
  double sum = 0;
  for (const auto& c : sorted) sum += c.probability;
  for (auto& c : sorted) c.probability /= sum;
}

void keep_top_p(Ranking& ranking, double p) {
  if (p >= 1) return;
  double before = 0;
  std::size_t kept = 0;
  while (kept < ranking.size() && (kept == 0 || before < p)) before += ranking[kept++].probability;
  ranking.resize(kept);
  rescale(ranking.sorted());
}

void keep_min_p(Ranking& ranking, double p) {
  if (p <= 0) return;
  ranking.keep_from(p * ranking[0].probability);
  rescale(ranking.sorted());
}

Ranking ranking_of(const at::Tensor& logits_V, const Sampler::Options& options) {
  const at::Tensor logits = logits_V.to(at::kDouble).contiguous();
  const double* const values = logits.const_data_ptr<double>();
  Candidates all;
  all.reserve(static_cast<std::size_t>(logits.numel()));
  for (std::int64_t id = 0; id < logits.numel(); ++id) {
    if (values[id] > -INFINITY) all.push_back({id, values[id] / options.temperature});
  }
  require_numbers(logits);
  keep_top_k(all, options.top_k);
  normalise(all);
  Ranking ranking(std::move(all));
  keep_top_p(ranking, options.top_p);
  keep_min_p(ranking, options.min_p);
  return ranking;
}

}  // namespace

Candidates Sampler::candidates(const at::Tensor& logits_V) const {
  return ranking_of(logits_V, options_).sorted();
}

std::int64_t Sampler::pick(const at::Tensor& logits_V, std::int64_t position) const {
  if (options_.temperature == 0) {
    require_numbers(logits_V);
    return logits_V.argmax().item<std::int64_t>();
  }
  Ranking all = ranking_of(logits_V, options_);
  const RandomKey key(options_.seed, RandomStream::kSample);
  double rest = key.uniform(static_cast<std::uint64_t>(position));
  for (std::size_t i = 0; i < all.size(); ++i) {
    rest -= all[i].probability;
    if (rest < 0) return all[i].id;
  }
  return all[all.size() - 1].id;  // rounding
}

}  // namespace moesaic
