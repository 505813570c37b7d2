#include "core/divisors.h"

#include <numeric>

namespace moesaic {

std::vector<std::int64_t> common_divisors(std::int64_t a, std::int64_t b) {
  const std::int64_t most = std::gcd(a, b);
  std::vector<std::int64_t> sizes;
  for (std::int64_t size = 1; size <= most; ++size) {
    if (most % size == 0) sizes.push_back(size);
  }
  return sizes;
}

}  // namespace moesaic
