#include "engine/secure_values.h"

#include <gtest/gtest.h>

#include "core/error.h"

namespace moesaic {
namespace {

TEST(SecureValues, AnyNumberOfSilosFitsTheRing) {
  for (const std::size_t silos : {1U, 2U, 3U, 7U, 100U, 10000U}) {
    const aggregate::SumFormat format = format_of_sum(Recipe(), silos);
    EXPECT_NO_THROW(aggregate::require_room(format, silos));
    aggregate::SumFormat finer = format;
    finer.levels += 1;
    EXPECT_THROW(aggregate::require_room(finer, silos), Error) << silos;
  }
}

// Neither cut off nor rounded so coarsely that it would show.
TEST(SecureValues, NoiseOfSilosFitsBetweenTheSteps) {
  Recipe recipe;
  ClientPrivacyOptions& privacy = recipe.federated.emplace().privacy.emplace();
  privacy = {.clip_norm = 2, .noise_multiplier = 3, .where = "silos", .silos = 4};
  const aggregate::SumFormat format = format_of_sum(recipe, 4);
  EXPECT_EQ(format.clip, 2 + 10 * 3);  // the share is 2 x 3 / sqrt(4)
  EXPECT_NO_THROW(aggregate::require_room(format, 4));
  privacy.noise_multiplier = 1e-9;
  EXPECT_THROW(format_of_sum(recipe, 4), Error);
  privacy.where = "coordinator";
  EXPECT_EQ(format_of_sum(recipe, 4).clip, 1);
}

TEST(SecureValues, WordsTravelAsTheyAre) {
  const std::vector<std::uint64_t> words = {0, 1, 258, 0xffffffff};
  const std::vector<std::uint8_t> bytes = bytes_of_words(words);
  ASSERT_EQ(bytes.size(), 16U);
  EXPECT_EQ(bytes[8], 2);  // the lowest byte first
  EXPECT_EQ(bytes[9], 1);
  EXPECT_EQ(words_of_bytes({reinterpret_cast<const char*>(bytes.data()), bytes.size()}), words);
}

TEST(SecureValues, ASilosPartIsItsShareOfAWholeRound) {
  Recipe recipe;
  recipe.train.global_batch_size = 8;
  recipe.data.sequence_length = 10;
  recipe.federated = FederatedOptions{.local_steps = 5};
  const aggregate::SiloReport report{.silo = "a", .examples = 30, .tokens = 100};
  EXPECT_EQ(part_in_sum(recipe, report), 0.75);
  recipe.federated->aggregator.weights = "tokens";
  EXPECT_EQ(part_in_sum(recipe, report), 0.25);
  recipe.federated->aggregator.weights = "uniform";
  EXPECT_EQ(part_in_sum(recipe, report), 1);
}

}  // namespace
}  // namespace moesaic
