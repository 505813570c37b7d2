#include "arch/layout_search.h"

#include <gtest/gtest.h>

#include "arch/sample_models.h"

namespace moesaic::arch {
namespace {

using namespace sample;

Device device_of(double memory_gb) {
  return {.name = "d",
          .memory_gb = memory_gb,
          .float32_tflops = 67,
          .bfloat16_tflops = 989,
          .memory_gb_per_s = 3350,
          .node_gb_per_s = 450,
          .network_gb_per_s = 50,
          .per_node = 8,
          .usable_memory = 1};
}

const CostOptions kSizes{.global_batch_size = 64, .sequence_length = 2048, .compute_bytes = 2};

TEST(LayoutSearch, KnowsTheSizesOfWellKnownModels) {
  const std::vector<std::pair<Options, double>> models = {{llama_7b(), 6.74e9},
                                                          {olmoe_1b_7b(), 6.92e9},
                                                          {mixtral_8x7b(), 46.7e9},
                                                          {deepseek_v3(), 671e9}};
  for (const auto& [options, parameters] : models) {
    const Cost cost = cost_of(options, parameter_table(options), {});
    EXPECT_NEAR(static_cast<double>(cost.parameters), parameters, 0.01 * parameters)
        << options.model_type;
  }
}

TEST(LayoutSearch, TriesNumbersThatFillNodes) {
  Device device = device_of(80);
  const std::vector<std::int64_t> counts = device_counts(device);
  EXPECT_EQ(std::vector<std::int64_t>(counts.begin(), counts.begin() + 8),
            (std::vector<std::int64_t>{1, 2, 4, 8, 16, 24, 32, 48}));
  EXPECT_EQ(counts.back(), 1024);
  EXPECT_TRUE(std::is_sorted(counts.begin(), counts.end()));
}

// 16 bytes a parameter and 2 of copies are 121 GB; on two devices half of the 54 GB of moments.
TEST(LayoutSearch, FindsTheLeastDevicesForADenseModel) {
  const Options options = llama_7b();
  const ParameterTable table = parameter_table(options);
  const Layout one = least_training(options, table, kSizes, device_of(140));
  EXPECT_EQ(one.ranks, 1);
  EXPECT_TRUE(one.fits());
  EXPECT_GT(one.cost.memory_bytes(), 120e9);
  const Layout two = least_training(options, table, kSizes, device_of(105));
  EXPECT_EQ(two.ranks, 2);
  EXPECT_TRUE(two.shard_optimizer);
  EXPECT_GT(two.tokens_per_s, one.tokens_per_s);
  // 10 bytes a parameter are on every rank, whatever their number.
  const Layout none = least_training(options, table, kSizes, device_of(60));
  EXPECT_FALSE(none.fits());
  EXPECT_GT(none.missing_bytes, 10 * 6.738e9 - 60e9);
  EXPECT_LT(none.missing_bytes, 20e9);
  const Layout whole = least_training(options, table, kSizes, device_of(105), /*may_shard=*/false);
  EXPECT_FALSE(whole.fits()) << "not sharded it fits on no number";
}

TEST(LayoutSearch, DividesTheExperts) {
  const Options options = olmoe_1b_7b();
  const Layout layout = least_training(options, parameter_table(options), kSizes, device_of(40));
  EXPECT_TRUE(layout.fits());
  EXPECT_GT(layout.expert, 1);
  EXPECT_EQ(layout.ranks % layout.expert, 0);
  EXPECT_EQ(64 % layout.expert, 0);
  EXPECT_LE(layout.cost.memory_bytes(), 40e9);
}

TEST(LayoutSearch, NeedsNoMoreDevicesWithMoreMemory) {
  for (const Options& options : {llama_7b(), mixtral_8x7b()}) {
    const ParameterTable table = parameter_table(options);
    std::int64_t last = 1 << 20;
    bool fitted = false;
    for (double memory_gb = 20; memory_gb < 2000; memory_gb *= 1.5) {
      const Layout layout = least_training(options, table, kSizes, device_of(memory_gb));
      EXPECT_TRUE(layout.fits() || !fitted) << memory_gb;
      if (!layout.fits()) continue;
      EXPECT_LE(layout.ranks, last) << options.model_type << " " << memory_gb;
      last = layout.ranks, fitted = true;
    }
    EXPECT_EQ(last, 1);
  }
}

TEST(LayoutSearch, IsNoSlowerOnFasterDevices) {
  const Options options = mixtral_8x7b();
  const ParameterTable table = parameter_table(options);
  double Device::*const kRates[] = {&Device::bfloat16_tflops, &Device::memory_gb_per_s,
                                    &Device::node_gb_per_s, &Device::network_gb_per_s};
  for (const auto rate : kRates) {
    Device device = device_of(80);
    double last = 0;
    for (int i = 0; i < 4; ++i, device.*rate *= 3) {
      const double tokens = least_training(options, table, kSizes, device).tokens_per_s;
      EXPECT_GE(tokens, last);
      last = tokens;
    }
  }
}

TEST(LayoutSearch, OfGenerationDividesExpertsAlone) {
  const Options mixtral = mixtral_8x7b(), llama = llama_7b();
  const GenerationSizes sizes{.sequence_length = 4096};
  const Layout eight = least_generation(mixtral, parameter_table(mixtral), sizes, device_of(24));
  EXPECT_EQ(eight.ranks, 8);  // 90 GB of experts, 3 of the rest
  EXPECT_TRUE(least_generation(llama, parameter_table(llama), sizes, device_of(24)).fits());
  const Layout none = least_generation(llama, parameter_table(llama), sizes, device_of(12));
  EXPECT_FALSE(none.fits());
  EXPECT_NEAR(none.missing_bytes, 2 * 6.738e9 + 2.15e9 - 12e9, 1e9);
}

}  // namespace
}  // namespace moesaic::arch
