#include "store/shard_plan.h"

#include <array>
#include <utility>

#include "core/error.h"
#include "store/hub_index.h"

namespace moesaic {

std::uint64_t parse_size(const std::string& text) {
  constexpr std::array<std::pair<const char*, std::uint64_t>, 9> kUnits = {
      {{"", 1},
       {"B", 1},
       {"KB", 1'000},
       {"MB", 1'000'000},
       {"GB", 1'000'000'000},
       {"TB", 1'000'000'000'000},
       {"KiB", 1ULL << 10U},
       {"MiB", 1ULL << 20U},
       {"GiB", 1ULL << 30U}}};
  constexpr std::size_t kMaxDigits = 15;
  const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  std::uint64_t size = 0;
  for (const auto& [unit, bytes] : kUnits) {
    if (digits == 0 || digits > kMaxDigits || text.substr(digits) != unit) continue;
    if (__builtin_mul_overflow(std::stoull(text.substr(0, digits)), bytes, &size)) size = 0;
  }
  if (size == 0) {
    throw Error(ErrorKind::kUsage, format("'{}' is no size", text),
                "write a number of bytes, or one with KB, MB, GB, TB, KiB, MiB or GiB: 5GB");
  }
  return size;
}

std::vector<std::size_t> plan_shards(const std::vector<std::uint64_t>& bytes, std::uint64_t most) {
  std::vector<std::size_t> shards;
  shards.reserve(bytes.size());
  std::size_t shard = 0;
  std::uint64_t filled = 0;
  for (const std::uint64_t size : bytes) {
    if (filled > 0 && (size > most || filled > most - size)) ++shard, filled = 0;
    shards.push_back(shard);
    filled += size;
  }
  return shards;
}

std::string shard_name(std::size_t shard, std::size_t count) {
  if (count == 1) return kHubSingleFile;
  return format("model-{:05d}-of-{:05d}.safetensors", shard + 1, count);
}

}  // namespace moesaic
