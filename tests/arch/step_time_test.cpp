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

// FLOPs of a token as cost_test counts them; 2 rounds of 10 tokens. Attention's take longer.
TEST(StepTime, IsThatOfTheProductsOfTheBusiestRank) {
  const double forward = 2.0 * (2 * (192 + 32 + 288) + 80) + 2 * 96.0;
  const double attention = 3 * 2 * 96.0 * (1 / 0.63 - 1);
  Device device = fast_device();
  device.float32_tflops = 1e-12;
  EXPECT_NEAR(time_of(two_rounds(), device).total(), 2 * 10 * (3 * forward + attention), 1e-6);
  CostOptions recomputed = two_rounds();
  recomputed.checkpoint_activations = true;
  EXPECT_NEAR(time_of(recomputed, device).products, 2 * 10 * (4 * forward + attention), 1e-6);
  device.product_efficiency = 0.5;
  EXPECT_NEAR(time_of(two_rounds(), device).products, 2 * 2 * 10 * (3 * forward + attention), 1e-6);
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
  const Cost cost = cost_of(options, parameter_table(options), two_rounds());
  ASSERT_GT(cost.all_to_all_bytes, 0);
  const double bytes = cost.all_to_all_bytes + cost.all_reduce_bytes;  // nothing hides that
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

// On a device the scores of 4 heads, 5 tokens and 2 layers are passed over 8 times, and 22 times on
// the way back; attention is plain products there.
TEST(StepTime, PassesOverWholeScores) {
  CostOptions sizes{.global_batch_size = 2, .micro_batch_size = 2, .sequence_length = 5};
  Device device = fast_device();
  device.memory_gb_per_s = 1e-9;
  const double tiles = time_of(sizes, device).memory;
  sizes.whole_scores = true;
  EXPECT_NEAR(time_of(sizes, device).memory - tiles, 2 * 2 * 30 * 4.0 * 5 * 5 * 4, 1e-3);
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

// docs/results/speed.md and scaling.md: an OLMoE of 90 M parameters on cores, 4,096 tokens a rank,
// tokens/s measured. Within 20 %, with the figures of data/devices.yaml.
struct Measured {
  const char* what;
  Json changed;
  std::int64_t compute_bytes, ranks, expert, length;
  double tokens_per_s;
};

Device core_of(double float32_tflops, double memory_gb_per_s, double node_gb_per_s) {
  Device device = slow_device();
  device.float32_tflops = float32_tflops;
  device.bfloat16_tflops = 1.183;
  device.memory_gb_per_s = memory_gb_per_s;
  device.node_gb_per_s = node_gb_per_s;
  device.per_node = 2;
  return device;
}

double predicted(const Measured& row, const Device& device) {
  Json config = {{"model_type", "olmoe"},    {"vocab_size", 8192},      {"hidden_size", 512},
                 {"intermediate_size", 512}, {"num_hidden_layers", 6},  {"num_attention_heads", 8},
                 {"num_experts", 16},        {"num_experts_per_tok", 2}};
  if (row.changed.is_object()) config.update(row.changed);
  const Options options = require_options(config, row.what);
  const ParameterTable table = parameter_table(options);
  const CostOptions sizes{.ranks = row.ranks,
                          .expert = row.expert,
                          .global_batch_size = 4096 / row.length * row.ranks,
                          .micro_batch_size = 4096 / row.length,
                          .sequence_length = row.length,
                          .compute_bytes = row.compute_bytes,
                          .expert_copies = false};
  const Cost cost = cost_of(options, table, sizes);
  return static_cast<double>(cost.tokens) /
         training_time(options, table, sizes, cost, device).total();
}

void expect_near(const std::vector<Measured>& rows, const Device& device) {
  for (const Measured& row : rows)
    EXPECT_NEAR(predicted(row, device) / row.tokens_per_s, 1, 0.2) << row.what;
}

Json width(std::int64_t hidden) {
  return {
      {"hidden_size", hidden}, {"intermediate_size", hidden}, {"num_attention_heads", hidden / 64}};
}

TEST(StepTime, AgreesWithStepsOnAXeon) {
  expect_near({{"float32", {}, 4, 1, 1, 512, 1037},
               {"float32, 2 ranks", {}, 4, 2, 1, 512, 1874},
               {"float32, 2 ranks, expert 2", {}, 4, 2, 2, 512, 1760},
               {"bfloat16", {}, 2, 1, 1, 512, 3064},
               {"bfloat16, 2 ranks", {}, 2, 2, 1, 512, 5534},
               {"bfloat16, 2 ranks, expert 2", {}, 2, 2, 2, 512, 5984},
               {"hidden 256", width(256), 2, 1, 1, 512, 6703},
               {"hidden 1024", width(1024), 2, 1, 1, 512, 1010},
               {"4 experts", {{"num_experts", 4}}, 2, 1, 1, 512, 3506},
               {"64 experts", {{"num_experts", 64}}, 2, 1, 1, 512, 2131},
               {"top 1", {{"num_experts_per_tok", 1}}, 2, 1, 1, 512, 3563},
               {"top 8", {{"num_experts_per_tok", 8}}, 2, 1, 1, 512, 1670},
               {"length 128", {}, 2, 1, 1, 128, 3197},
               {"length 2048", {}, 2, 1, 1, 2048, 2428}},
              core_of(0.182, 13.3, 3));
}

// The constants were not chosen by these.
TEST(StepTime, AgreesWithStepsOnAZen3) {
  expect_near({{"float32", {}, 4, 1, 1, 512, 472},
               {"float32, 2 ranks", {}, 4, 2, 1, 512, 904},
               {"float32, 2 ranks, expert 2", {}, 4, 2, 2, 512, 838}},
              core_of(0.075, 7.9, 3.9));
}

}  // namespace
}  // namespace moesaic::arch
