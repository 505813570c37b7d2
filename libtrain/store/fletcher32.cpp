#include "store/fletcher32.h"

#include <algorithm>
#include <cstring>

#include "core/error.h"

// The compiler makes one version of the loop for each of these and chooses when the program starts.
#if defined(__x86_64__) && defined(__linux__) && !defined(__clang__)
#define MOESAIC_VECTOR_VERSIONS \
  __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define MOESAIC_VECTOR_VERSIONS
#endif

namespace moesaic {
namespace {

constexpr std::size_t kLanes = 16;
constexpr std::size_t kSteps = 256;  // the running sums of a lane stay below 2^32
constexpr std::uint64_t kModulus = 65535;

using Lanes = std::uint32_t[kLanes];

/// Word t * kLanes + j belongs to lane j. sum: of the words; running: of the sums after each step.
MOESAIC_VECTOR_VERSIONS
void add_words(const std::uint16_t* words, std::size_t steps, Lanes& sum_out, Lanes& running_out) {
  Lanes sum = {};
  Lanes running = {};
  for (std::size_t t = 0; t < steps; ++t) {
    for (std::size_t j = 0; j < kLanes; ++j) {
      sum[j] += words[t * kLanes + j];
      running[j] += sum[j];
    }
  }
  std::memcpy(sum_out, sum, sizeof sum);
  std::memcpy(running_out, running, sizeof running);
}

/// The filter reads words with their high byte first and adds with end-around carry, which is
/// arithmetic modulo 65535, where swapping the bytes of a word is multiplying by 256. Its zero is
/// 65535, but for a chunk of zeros.
std::uint32_t half(std::uint64_t sum, bool all_zero) {
  const std::uint64_t value = sum * 256 % kModulus;
  return static_cast<std::uint32_t>(value == 0 && !all_zero ? kModulus : value);
}

}  // namespace

std::uint32_t fletcher32(const void* data, std::size_t bytes) {
  MOESAIC_ASSERT(bytes % 2 == 0 && reinterpret_cast<std::uintptr_t>(data) % 2 == 0);
  const auto* words = static_cast<const std::uint16_t*>(data);
  std::size_t left = bytes / 2;
  std::uint64_t sum = 0;
  std::uint64_t running = 0;  // sum of `sum` after each word
  bool all_zero = true;
  while (left >= kLanes) {
    const std::size_t steps = std::min(left / kLanes, kSteps);
    Lanes lane_sum;
    Lanes lane_running;
    add_words(words, steps, lane_sum, lane_running);
    std::uint64_t total = 0;
    std::uint64_t runs = 0;
    std::uint64_t late = 0;  // lane j sees its words j words later than lane 0
    for (std::size_t j = 0; j < kLanes; ++j) {
      total += lane_sum[j];
      runs += lane_running[j];
      late += j * std::uint64_t{lane_sum[j]};
    }
    running = (running + sum * (steps * kLanes) + kLanes * runs - late) % kModulus;
    sum = (sum + total) % kModulus;
    all_zero = all_zero && total == 0;
    words += steps * kLanes;
    left -= steps * kLanes;
  }
  for (; left > 0; --left, ++words) {
    sum = (sum + *words) % kModulus;
    running = (running + sum) % kModulus;
    all_zero = all_zero && *words == 0;
  }
  return half(running, all_zero) << 16U | half(sum, all_zero);
}

}  // namespace moesaic
