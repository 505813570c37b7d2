#include "arch/step_time.h"

#include <gtest/gtest.h>

#include <limits>

#include "arch/sample_models.h"

namespace moesaic::arch {
namespace {

using namespace sample;

constexpr double kFast = 1e30;

// Rates of everything but what a test looks at.
Device fast_device() {
  Device device = slow_device();
  device.float32_tflops = device.memory_gb_per_s = kFast;
  device.node_gb_per_s = device.network_gb_per_s = kFast;
  return device;
}

StepTime time_of(const CostOptions& sizes, const Device& device) {
  const Options options = tiny_olmoe();
  const ParameterTable table = parameter_table(options);
  return training_time(options, table, sizes, cost_of(options, table, sizes), device);
}

CostOptions two_rounds() {
  return {
      .ranks = 2, .expert = 2, .global_batch_size = 8, .micro_batch_size = 2, .sequence_length = 5};
}

// FLOPs of a token as cost_test counts them; 2 rounds of 10 tokens.
TEST(StepTime, IsThatOfTheProductsOfTheBusiestRank) {
  const double forward = 2.0 * (2 * (192 + 32 + 288) + 80) + 2 * 96.0;
  Device device = fast_device();
  device.float32_tflops = 1e-12;
  EXPECT_NEAR(time_of(two_rounds(), device).total(), 2 * 10 * 3 * forward, 1e-6);
  CostOptions recomputed = two_rounds();
  recomputed.checkpoint_activations = true;
  EXPECT_NEAR(time_of(recomputed, device).products, 2 * 10 * 4 * forward, 1e-6);
  device.product_efficiency = 0.5;
  EXPECT_NEAR(time_of(two_rounds(), device).products, 2 * 2 * 10 * 3 * forward, 1e-6);
}

// A round reads the weights of products forward and backward: those of a layer, half of its
// experts, and the head.
TEST(StepTime, OfProductsIsAtLeastThatOfTheirWeights) {
  Device device = fast_device();
  device.memory_gb_per_s = 1e-9;
  const double weights = 2 * (192 + 32 + 2 * 144) + 80;
  EXPECT_NEAR(time_of(two_rounds(), device).products, 2 * 2 * 4 * weights, 1e-6);
}

TEST(StepTime, PassesOverValuesGradientsAndMoments) {
  const Options options = tiny_olmoe();
  Device device = fast_device();
  device.memory_gb_per_s = 1e-9;
  const CostOptions sizes{.global_batch_size = 2, .micro_batch_size = 2, .sequence_length = 5};
  double values = 0;  // of a token, in a layer: both are alike
  for (const Kept& kept : kept_by_attention(options, activation_sizes(sizes))) values += kept.bytes;
  for (const Kept& kept : kept_by_network(options, activation_sizes(sizes), 0))
    values += kept.bytes;
  const double held = static_cast<double>(kDense + kExperts);
  // Gradients are added to in a round; a step reads or writes weight, gradient and moments nine
  // times.
  EXPECT_NEAR(time_of(sizes, device).memory, 2 * 10 * values * 11 + 8 * held + 36 * held, 1e-3);
}

TEST(StepTime, WaitsForTokensOfOtherRanks) {
  const Options options = tiny_olmoe();
  const double bytes = cost_of(options, parameter_table(options), two_rounds()).all_to_all_bytes;
  ASSERT_GT(bytes, 0);
  Device device = fast_device();
  device.network_gb_per_s = 1e-9;  // each device is a node
  EXPECT_NEAR(time_of(two_rounds(), device).exposed, bytes, 1e-6 * bytes);
  device.per_node = 2;
  EXPECT_NEAR(time_of(two_rounds(), device).exposed, 0, 1e-6);
  device.node_gb_per_s = 2e-9;
  EXPECT_GE(time_of(two_rounds(), device).exposed, bytes / 2);
}

// The reduction runs beside the last round's backward, two thirds of it.
TEST(StepTime, HidesTheReductionInBackward) {
  const Options options = tiny_olmoe();
  const ParameterTable table = parameter_table(options);
  CostOptions sizes{.ranks = 2, .global_batch_size = 2, .sequence_length = 5};
  const double bytes = cost_of(options, table, sizes).all_reduce_bytes;
  EXPECT_EQ(bytes, 4.0 * (kDense + kExperts));
  Device device = fast_device();
  device.network_gb_per_s = 1e-9;
  EXPECT_NEAR(time_of(sizes, device).exposed, bytes, 1e-6 * bytes);
  device.float32_tflops = 1e-12;
  const StepTime time = time_of(sizes, device);
  EXPECT_GT(time.products * 2 / 3, bytes);
  EXPECT_EQ(time.exposed, 0);
  sizes.shard_optimizer = true;  // its gather comes after the optimizer
  EXPECT_NEAR(time_of(sizes, device).exposed, bytes / 2, 1e-6 * bytes);
}

TEST(StepTime, FallsWhenAnyRateRises) {
  CostOptions sizes = two_rounds();
  sizes.shard_optimizer = true;
  double Device::*const kRates[] = {&Device::float32_tflops, &Device::memory_gb_per_s,
                                    &Device::node_gb_per_s, &Device::network_gb_per_s};
  for (const auto rate : kRates) {
    Device device = slow_device();
    double last = std::numeric_limits<double>::infinity();
    for (int i = 0; i < 8; ++i, device.*rate *= 10) {
      const double seconds = time_of(sizes, device).total();
      EXPECT_LE(seconds, last);
      last = seconds;
    }
  }
}

}  // namespace
}  // namespace moesaic::arch
