#include "aggregate/robust.h"

#include <algorithm>
#include <numeric>

namespace moesaic::aggregate {
namespace {

double mean_of(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

// Sum of the distances of silo i to its nearest others, of those in `left`.
double krum_score(const std::vector<double>& squared, std::size_t n, std::size_t i, std::size_t f,
                  const std::vector<std::size_t>& left) {
  std::vector<double> distances;
  for (const std::size_t j : left) {
    if (j != i) distances.push_back(squared[i * n + j]);
  }
  std::sort(distances.begin(), distances.end());
  const std::size_t others = left.size() > f + 3 ? left.size() - f - 2 : 1;
  const std::size_t nearest = std::min(others, distances.size());
  return std::accumulate(distances.begin(),
                         distances.begin() + static_cast<std::ptrdiff_t>(nearest), 0.0);
}

std::vector<std::size_t> all_of(std::size_t n) {
  std::vector<std::size_t> all(n);
  std::iota(all.begin(), all.end(), std::size_t{0});
  return all;
}

}  // namespace

double median(std::span<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : 0.5 * values[half - 1] + 0.5 * values[half];
}

double trimmed_mean(std::span<double> values, double trim) {
  std::sort(values.begin(), values.end());
  const auto cut = static_cast<std::size_t>(trim * static_cast<double>(values.size()));
  return mean_of(values.subspan(cut, values.size() - 2 * cut));
}

double mean_near_median(std::span<double> values, std::size_t count) {
  const double middle = median(values);
  std::size_t first = 0, last = values.size();  // those that are left
  while (last - first > count) {
    const bool low_is_farther = middle - values[first] > values[last - 1] - middle;
    if (low_is_farther) {
      ++first;
    } else {
      --last;
    }
  }
  return mean_of(values.subspan(first, last - first));
}

std::vector<std::size_t> krum(const std::vector<double>& squared, std::size_t n, std::size_t f,
                              std::size_t count) {
  const std::vector<std::size_t> all = all_of(n);
  std::vector<double> scores;
  for (const std::size_t i : all) scores.push_back(krum_score(squared, n, i, f, all));
  std::vector<std::size_t> order = all;
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return scores[a] < scores[b]; });
  order.resize(std::min(count, n));
  return order;
}

std::vector<std::size_t> bulyan_choice(const std::vector<double>& squared, std::size_t n,
                                       std::size_t f) {
  std::vector<std::size_t> left = all_of(n), chosen;
  while (chosen.size() + 2 * f < n) {
    std::size_t best = 0;
    double lowest = krum_score(squared, n, left[0], f, left);
    for (std::size_t k = 1; k < left.size(); ++k) {
      const double score = krum_score(squared, n, left[k], f, left);
      if (score < lowest) lowest = score, best = k;
    }
    chosen.push_back(left[best]);
    left.erase(left.begin() + static_cast<std::ptrdiff_t>(best));
  }
  return chosen;
}

}  // namespace moesaic::aggregate
