#include "engine/secure_values.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "config/silos.h"

namespace moesaic {

namespace {

double most_examples_of(const Recipe& recipe) {
  const std::int64_t steps = recipe.federated->local_steps.value_or(kLocalSteps);
  return static_cast<double>(steps * recipe.train.global_batch_size);
}

}  // namespace

static_assert(kMaskedAtOnce % aggregate::kMaskStep == 0);

aggregate::SumFormat format_of_sum(std::size_t silos) {
  const std::int64_t most = std::numeric_limits<std::int32_t>::max();
  return {.bits = 32,
          .clip = 1.0,
          .levels = std::max<std::int64_t>(1, most / static_cast<std::int64_t>(silos))};
}

std::size_t sums_of(const Recipe& recipe) {
  if (!is_secure(recipe)) return 0;
  return recipe.federated->aggregator.type == "scaffold" ? 2 : 1;
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
