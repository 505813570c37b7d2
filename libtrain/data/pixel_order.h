// The order of an image's pixels that a seed gives (Permuted MNIST: Goodfellow et al. 2013, arXiv
// 1312.6211, section 2.2).
#pragma once

#include <cstdint>
#include <vector>

namespace moesaic {

/// numpy.random.RandomState(seed).permutation(size), which NumPy keeps as it is: MT19937, and a
/// shuffle from the end (Fisher-Yates) whose draws are masked until they fit. Value j of a permuted
/// image is value order[j] of the image: x[:, order].
std::vector<std::int64_t> pixel_order(std::uint32_t seed, std::int64_t size);

}  // namespace moesaic
