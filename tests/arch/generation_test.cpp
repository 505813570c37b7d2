#include "arch/generation.h"

#include <gtest/gtest.h>

#include "arch/sample_models.h"

namespace moesaic::arch {
namespace {

using namespace sample;

TEST(Generation, KeepsKeysAndValuesOrLatents) {
  EXPECT_EQ(cache_bytes(llama_7b(), 4096, 2), 2.0 * 32 * 4096 * 4096 * 2);         // 2.1 GB
  EXPECT_EQ(cache_bytes(mixtral_8x7b(), 4096, 2), 2.0 * 32 * 4096 * 8 * 128 * 2);  // 8 of 32 heads
  EXPECT_EQ(cache_bytes(deepseek_v3(), 1000, 2), 61.0 * 1000 * (512 + 64) * 2);
}

TEST(Generation, HoldsWeightsAndCache) {
  const Options options = tiny_olmoe();
  const ParameterTable table = parameter_table(options);
  const GenerationSizes sizes{.ranks = 2, .sequence_length = 100, .prompt_tokens = 0};
  const Cost cost = generation_cost(options, table, sizes);
  EXPECT_EQ(cost.parameter_bytes, 2.0 * (kDense + kExperts / 2));
  EXPECT_EQ(cost.gradient_bytes + cost.optimizer_bytes + cost.reduction_bytes, 0);
  // 2 heads of 2 values, keys and values; of one layer once more in float32.
  EXPECT_EQ(cost.activation_bytes, 2 * 100 * 8 * 2 + 100 * 8 * 4);
}

// On a device whose products cost nothing.
TEST(Generation, ReadsTheWeightsThatATokenMeets) {
  const Options options = tiny_olmoe();
  Device device = slow_device();
  device.float32_tflops = 1e12;
  const auto seconds = [&](std::int64_t ranks) {
    return token_time(options, parameter_table(options), {.ranks = ranks, .sequence_length = 1},
                      device);
  };
  const double cache = 2 * 8 * 2, dense = 2 * (192 + 32) + 80;
  EXPECT_NEAR(seconds(1).total(), cache + 2 * (dense + 2 * 2 * 144), 1e-6);
  // Two experts of a token on two ranks: each reads one; rows of 8 there and back, twice a layer.
  EXPECT_NEAR(seconds(2).products, cache + 2 * (dense + 2 * 144), 1e-6);
  EXPECT_NEAR(seconds(2).exposed, 2 * 2 * 2 * 8 * 2, 1e-6);
}

}  // namespace
}  // namespace moesaic::arch
