// Rules that look at the silos' changes element by element, or choose among silos by the distances
// of their changes. All take float64 and give the same result for every order of equal values.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace moesaic::aggregate {

/// The median; of an even number the mean of the middle two (Yin et al., arXiv 1803.01498).
/// Sorts `values`, which are not empty.
double median(std::span<double> values);

/// The mean without floor(trim n) values at each end (Yin et al., arXiv 1803.01498), 2 trim < 1.
/// Sorts `values`.
double trimmed_mean(std::span<double> values, double trim);

/// The mean of the `count` values nearest to the median (Bulyan, arXiv 1802.07927). Sorts `values`.
double mean_near_median(std::span<double> values, std::size_t count);

/// The `count` of n silos with the smallest scores of Krum (Blanchard et al., NeurIPS 2017): the
/// sum of the squared distances to the n - f - 2 nearest others. In the order of their scores, of
/// equal ones the first silo first. `squared`: n x n, the diagonal is not read.
std::vector<std::size_t> krum(const std::vector<double>& squared, std::size_t n, std::size_t f,
                              std::size_t count);

/// The n - 2 f silos that Bulyan (arXiv 1802.07927, algorithm 2) chooses by Krum, one after the
/// other among those that are left.
std::vector<std::size_t> bulyan_choice(const std::vector<double>& squared, std::size_t n,
                                       std::size_t f);

}  // namespace moesaic::aggregate
