#include "data/units.h"

#include <unordered_map>

#include "core/format.h"
#include "core/random.h"

namespace moesaic {

std::vector<std::uint64_t> distinct_names(const std::vector<std::uint64_t>& fingerprints) {
  std::unordered_map<std::uint64_t, std::int64_t> before;
  std::vector<std::uint64_t> names;
  for (const std::uint64_t own : fingerprints)
    names.push_back(hash_name(format("{} {}", own, before[own]++)));
  return names;
}

}  // namespace moesaic
