#include "data/unit_draws.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <span>

#include "core/error.h"
#include "core/random.h"

namespace moesaic {
namespace {

constexpr std::int64_t kWordsPerBlock = 8;  // of the stream
using DrawnWords = std::array<std::uint64_t, 512 * kWordsPerBlock>;

SecretKey draws_key(const SecretKey& key) { return key.derived("units of the steps"); }

}  // namespace

UnitDraws::UnitDraws(const Options& options, const SecretKey& key)
    : options_(options), key_(draws_key(key)) {
  MOESAIC_ASSERT(options.units >= 1 && options.slots >= 1 && options.turns >= 0);
  MOESAIC_ASSERT(options.rate > 0 && options.rate <= 1);
  MOESAIC_ASSERT(options.turns == 0 || std::ssize(options.names) == options.units);
}

void UnitDraws::renew(const SecretKey& key) { key_ = draws_key(key); }

std::vector<std::int64_t> UnitDraws::of_step(std::int64_t step) const {
  MOESAIC_ASSERT(step >= 0);
  std::vector<std::int64_t> drawn = options_.turns > 0 ? in_turn(step) : poisson(step);
  if (std::ssize(drawn) > options_.slots) drawn.resize(static_cast<std::size_t>(options_.slots));
  return drawn;
}

// A unit is drawn where its 64 bits, as a fraction of 1, are below the rate.
std::vector<std::int64_t> UnitDraws::poisson(std::int64_t step) const {
  std::vector<std::int64_t> drawn;
  if (options_.rate == 1) {
    drawn.resize(static_cast<std::size_t>(options_.units));
    std::iota(drawn.begin(), drawn.end(), std::int64_t{0});
    return drawn;
  }
  const auto below = static_cast<std::uint64_t>(std::ldexp(options_.rate, 64));
  DrawnWords words;
  for (std::int64_t first = 0; first < options_.units; first += std::ssize(words)) {
    const auto count = std::min<std::int64_t>(std::ssize(words), options_.units - first);
    const auto wanted = std::span(words).first(static_cast<std::size_t>(count));
    key_.stream(static_cast<std::uint64_t>(step),
                static_cast<std::uint64_t>(first / kWordsPerBlock), std::as_writable_bytes(wanted));
    for (std::int64_t i = 0; i < count; ++i)
      if (words[static_cast<std::size_t>(i)] < below) drawn.push_back(first + i);
  }
  return drawn;
}

std::vector<std::int64_t> UnitDraws::in_turn(std::int64_t step) const {
  const RandomKey key(options_.seed, RandomStream::kShuffle, 0, "turns of the units");
  const auto turns = static_cast<std::uint64_t>(options_.turns);
  std::vector<std::int64_t> drawn;
  for (std::int64_t unit = 0; unit < options_.units; ++unit) {
    if (key.bits(options_.names[static_cast<std::size_t>(unit)]) % turns ==
        static_cast<std::uint64_t>(step) % turns)
      drawn.push_back(unit);
  }
  return drawn;
}

}  // namespace moesaic
