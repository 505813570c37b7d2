#include "data/unit_draws.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <span>

#include "core/error.h"
#include "core/random.h"

namespace moesaic {
namespace {

constexpr std::int64_t kWordsPerBlock = 8;  // of the stream
using DrawnWords = std::array<std::uint64_t, 512 * kWordsPerBlock>;

// A unit is drawn where its 64 bits, as a fraction of 1, are below the rate.
class Chance {
 public:
  explicit Chance(double rate)
      : always_(rate == 1),
        below_(always_ ? 0 : static_cast<std::uint64_t>(std::ldexp(rate, 64))) {}
  bool is_met(std::uint64_t bits) const { return always_ || bits < below_; }

 private:
  bool always_;
  std::uint64_t below_;
};

SecretKey draws_key(const SecretKey& key) { return key.derived("units of the steps"); }

}  // namespace

double UnitDraws::Options::largest_rate() const {
  return others.units > 0 ? std::max(rate, others.rate) : rate;
}

double UnitDraws::Options::mean_rate() const {
  if (others.units == 0) return rate;
  const auto all = static_cast<double>(units), last = static_cast<double>(others.units);
  return ((all - last) * rate + last * others.rate) / all;
}

std::int64_t UnitDraws::Options::least_turns() const {
  return others.units > 0 ? std::min(turns, others.turns) : turns;
}

UnitDraws::UnitDraws(const Options& options, const SecretKey& key)
    : options_(options), key_(draws_key(key)) {
  MOESAIC_ASSERT(options.units >= 1 && options.slots >= 1 && options.turns >= 0);
  MOESAIC_ASSERT(options.rate > 0 && options.rate <= 1);
  MOESAIC_ASSERT(options.turns == 0 || std::ssize(options.names) == options.units);
  MOESAIC_ASSERT(options.others.units >= 0 && options.others.units < options.units);
  MOESAIC_ASSERT(options.others.rate > 0 && options.others.rate <= 1);
  MOESAIC_ASSERT((options.others.turns > 0) == (options.turns > 0) || options.others.units == 0);
}

void UnitDraws::renew(const SecretKey& key) { key_ = draws_key(key); }

std::vector<std::int64_t> UnitDraws::of_step(std::int64_t step) const {
  MOESAIC_ASSERT(step >= 0);
  std::vector<std::int64_t> drawn = options_.turns > 0 ? in_turn(step) : poisson(step);
  if (std::ssize(drawn) > options_.slots) drawn.resize(static_cast<std::size_t>(options_.slots));
  return drawn;
}

std::vector<std::int64_t> UnitDraws::poisson(std::int64_t step) const {
  std::vector<std::int64_t> drawn;
  const std::int64_t others = options_.units - options_.others.units;  // the first of them
  const Chance chance(options_.rate), chance_of_others(options_.others.rate);
  DrawnWords words;
  for (std::int64_t first = 0; first < options_.units; first += std::ssize(words)) {
    const auto count = std::min<std::int64_t>(std::ssize(words), options_.units - first);
    const auto wanted = std::span(words).first(static_cast<std::size_t>(count));
    key_.stream(static_cast<std::uint64_t>(step),
                static_cast<std::uint64_t>(first / kWordsPerBlock), std::as_writable_bytes(wanted));
    for (std::int64_t i = 0; i < count; ++i)
      if ((first + i < others ? chance : chance_of_others)
              .is_met(words[static_cast<std::size_t>(i)]))
        drawn.push_back(first + i);
  }
  return drawn;
}

std::vector<std::int64_t> UnitDraws::in_turn(std::int64_t step) const {
  const RandomKey key(options_.seed, RandomStream::kShuffle, 0, "turns of the units");
  const std::int64_t others = options_.units - options_.others.units;  // the first of them
  std::vector<std::int64_t> drawn;
  for (std::int64_t unit = 0; unit < options_.units; ++unit) {
    const auto turns =
        static_cast<std::uint64_t>(unit < others ? options_.turns : options_.others.turns);
    if (key.bits(options_.names[static_cast<std::size_t>(unit)]) % turns ==
        static_cast<std::uint64_t>(step) % turns)
      drawn.push_back(unit);
  }
  return drawn;
}

}  // namespace moesaic
