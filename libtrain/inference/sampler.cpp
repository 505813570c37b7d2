#include "inference/sampler.h"

#include <algorithm>
#include <cmath>

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

void keep_top_p(Candidates& sorted, double p) {
  if (p >= 1) return;
  double before = 0;
  std::size_t kept = 0;
  while (kept < sorted.size() && (kept == 0 || before < p)) before += sorted[kept++].probability;
  sorted.resize(kept);
  rescale(sorted);
}

void keep_min_p(Candidates& sorted, double p) {
  if (p <= 0) return;
  const double least = p * sorted.front().probability;
  std::erase_if(sorted, [&](const Sampler::Candidate& c) { return c.probability < least; });
  rescale(sorted);
}

}  // namespace

Candidates Sampler::candidates(const at::Tensor& logits_V) const {
  const at::Tensor logits = logits_V.to(at::kDouble).contiguous();
  const double* const values = logits.const_data_ptr<double>();
  Candidates all;
  all.reserve(static_cast<std::size_t>(logits.numel()));
  for (std::int64_t id = 0; id < logits.numel(); ++id) {
    if (values[id] > -INFINITY) all.push_back({id, values[id] / options_.temperature});
  }
  require_numbers(logits);
  keep_top_k(all, options_.top_k);
  normalise(all);
  std::sort(all.begin(), all.end(), is_before);
  keep_top_p(all, options_.top_p);
  keep_min_p(all, options_.min_p);
  return all;
}

std::int64_t Sampler::pick(const at::Tensor& logits_V, std::int64_t position) const {
  if (options_.temperature == 0) {
    require_numbers(logits_V);
    return logits_V.argmax().item<std::int64_t>();
  }
  const Candidates all = candidates(logits_V);
  const RandomKey key(options_.seed, RandomStream::kSample);
  double rest = key.uniform(static_cast<std::uint64_t>(position));
  for (const Candidate& c : all) {
    rest -= c.probability;
    if (rest < 0) return c.id;
  }
  return all.back().id;  // rounding
}

}  // namespace moesaic
