// What both sides of a secure sum count in, and what the coordinator keeps of one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "aggregate/aggregator.h"
#include "aggregate/secure_silo.h"
#include "config/recipe.h"

namespace moesaic {

/// One try of a round with secure sums; a coordinator that begins anew begins another one.
struct SecureTry {
  std::string label;
  std::size_t threshold = 0;
  aggregate::RoundKeys keys;
  std::map<std::string, std::map<std::string, std::string>> sealed;  // by receiver, by sender
  std::optional<aggregate::SecureCollector> collector;
};

/// Of a sum over so many silos: 32 bits, in the finest steps whose sum fits, values to +-1; where
/// silos add noise, to what no value of theirs exceeds. Error(kRecipe) where the steps would be
/// coarse beside that noise.
aggregate::SumFormat format_of_sum(const Recipe& recipe, std::size_t silos);

/// Of a round with secure sums, how many values are summed for each one of a parameter: its change,
/// and with scaffold the gradient beside it. 0 where every change is seen.
std::size_t sums_of(const Recipe& recipe);

/// The most examples, and tokens, that a silo can train on in a round of local_steps.
double most_examples_of(const Recipe& recipe);
double most_tokens_of(const Recipe& recipe);

/// What a silo weighs in the sum: 1, or with weights examples or tokens its share of the most that
/// a round can have; the mean is the sum over the sum of these.
double part_in_sum(const Recipe& recipe, const aggregate::SiloReport& report);
/// The same, with fednova divided by the length of the silo's path: its mean is of changes over
/// lengths, times the mean of the lengths, which the silos tell.
double factor_in_sum(const Recipe& recipe, const aggregate::SiloReport& report);

/// Values of a parameter that are masked, or summed, at a time: what that takes stays in the cache.
inline constexpr std::size_t kMaskedAtOnce = std::size_t{1} << 18;

/// Words of 32 bits as they travel, little endian, and back.
std::vector<std::uint8_t> bytes_of_words(const std::vector<std::uint64_t>& words);
std::vector<std::uint64_t> words_of_bytes(std::string_view bytes);

}  // namespace moesaic
