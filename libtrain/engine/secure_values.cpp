#include "engine/secure_values.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "config/silos.h"
#include "core/error.h"

namespace moesaic {

static_assert(kMaskedAtOnce % aggregate::kMaskStep == 0);

// A sum of values that were each cut off, or rounded coarsely, would not have the noise of the sum.
aggregate::SumFormat format_of_sum(const Recipe& recipe, std::size_t silos) {
  constexpr double kMostDeviations = 10;  // of a normal value that is never seen: 1e-23
  constexpr double kStepsOfNoise = 4;
  const std::int64_t most = std::numeric_limits<std::int32_t>::max();
  aggregate::SumFormat sum{
      .bits = 32,
      .clip = 1.0,
      .levels = std::max<std::int64_t>(1, most / static_cast<std::int64_t>(silos))};
  if (!silos_add_noise(recipe)) return sum;
  const aggregate::PrivateSum hidden = private_sum_of(*recipe.federated);
  sum.clip = hidden.clip_norm + kMostDeviations * hidden.share();
  const double step = sum.clip / static_cast<double>(sum.levels);
  MOESAIC_CHECK(
      hidden.noise_multiplier == 0 || kStepsOfNoise * step <= hidden.share(), ErrorKind::kRecipe,
      "a secure sum of {} silos counts in steps of {:.3g}, too coarse for noise of {:.3g} "
      "in each; take a larger federated.privacy.noise_multiplier or fewer silos",
      silos, step, hidden.share());
  return sum;
}

std::size_t sums_of(const Recipe& recipe) {
  if (!is_secure(recipe)) return 0;
  return recipe.federated->aggregator.type == "scaffold" ? 2 : 1;
}

double most_examples_of(const Recipe& recipe) {
  const std::int64_t steps = recipe.federated->local_steps.value_or(kLocalSteps);
  return static_cast<double>(steps) * static_cast<double>(recipe.train.global_batch_size);
}

double most_tokens_of(const Recipe& recipe) {
  return most_examples_of(recipe) * static_cast<double>(recipe.data.sequence_length);
}

double part_in_sum(const Recipe& recipe, const aggregate::SiloReport& report) {
  const std::string& weights = recipe.federated->aggregator.weights;
  if (weights == "uniform") return 1;
  if (weights == "examples") return std::min(1.0, report.examples / most_examples_of(recipe));
  return std::min(1.0, report.tokens / most_tokens_of(recipe));
}

double factor_in_sum(const Recipe& recipe, const aggregate::SiloReport& report) {
  const double part = part_in_sum(recipe, report);
  const bool by_length = recipe.federated->aggregator.type == "fednova" && report.steps > 0;
  return by_length ? part / report.steps : part;
}

std::vector<std::uint8_t> bytes_of_words(const std::vector<std::uint64_t>& words) {
  std::vector<std::uint8_t> bytes(4 * words.size());
  for (std::size_t i = 0; i < words.size(); ++i) {
    const auto word = static_cast<std::uint32_t>(words[i]);
    std::memcpy(bytes.data() + 4 * i, &word, 4);
  }
  return bytes;
}

std::vector<std::uint64_t> words_of_bytes(std::string_view bytes) {
  std::vector<std::uint64_t> words(bytes.size() / 4);
  for (std::size_t i = 0; i < words.size(); ++i) {
    std::uint32_t word = 0;
    std::memcpy(&word, bytes.data() + 4 * i, 4);
    words[i] = word;
  }
  return words;
}

}  // namespace moesaic
