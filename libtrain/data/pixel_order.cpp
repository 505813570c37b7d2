#include "data/pixel_order.h"

#include <bit>
#include <numeric>
#include <random>
#include <utility>

namespace moesaic {
namespace {

// Uniform in 0 ... most, most above 0.
std::uint64_t draw_up_to(std::uint64_t most, std::mt19937& bits) {
  const std::uint64_t mask = std::bit_ceil(most + 1) - 1;
  for (;;) {
    const std::uint64_t value = bits() & mask;
    if (value <= most) return value;
  }
}

}  // namespace

std::vector<std::int64_t> pixel_order(std::uint32_t seed, std::int64_t size) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(size));
  std::iota(order.begin(), order.end(), 0);
  std::mt19937 bits(seed);
  for (std::size_t i = order.size(); i-- > 1;)
    std::swap(order[i], order[static_cast<std::size_t>(draw_up_to(i, bits))]);
  return order;
}

}  // namespace moesaic
