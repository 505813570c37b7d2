// The family mlp: its configuration, its table, and what it costs.
#include <gtest/gtest.h>

#include <cmath>

#include "arch/arch.h"
#include "arch/cost.h"
#include "core/error.h"

namespace moesaic::arch {
namespace {

const Json kConfig = {
    {"model_type", "mlp"}, {"input_size", 784}, {"hidden_sizes", {400, 300}}, {"num_labels", 10}};

std::vector<std::string> problems_of(const Json& changes) {
  Json config = kConfig;
  config.update(changes);
  std::vector<Problem> problems;
  read_options(config, problems);
  std::vector<std::string> texts;
  for (const Problem& problem : problems) texts.push_back(problem.key + ": " + problem.message);
  return texts;
}

TEST(Mlp, HasAWeightAndABiasForEachLayer) {
  const ParameterTable table = parameter_table(require_options(kConfig, "test"));
  std::vector<std::string> names;
  std::vector<std::vector<std::int64_t>> shapes;
  for (const ParameterInfo& info : table) {
    names.push_back(info.name);
    shapes.push_back(info.shape);
    EXPECT_EQ(info.decay, info.name.ends_with(".weight")) << info.name;
    EXPECT_EQ(info.init, Init::kUniform);
    EXPECT_EQ(info.group, info.name.starts_with("layers.2.") ? Group::kHead : Group::kDense);
  }
  EXPECT_EQ(names, (std::vector<std::string>{"layers.0.weight", "layers.0.bias", "layers.1.weight",
                                             "layers.1.bias", "layers.2.weight", "layers.2.bias"}));
  EXPECT_EQ(shapes, (std::vector<std::vector<std::int64_t>>{
                        {400, 784}, {400}, {300, 400}, {300}, {10, 300}, {10}}));
  // nn.Linear draws uniformly from +-1 / sqrt(in), weights and biases alike.
  EXPECT_DOUBLE_EQ(table[0].init_std * std::sqrt(3.0), 1 / std::sqrt(784.0));
  EXPECT_DOUBLE_EQ(table[5].init_std * std::sqrt(3.0), 1 / std::sqrt(300.0));
}

TEST(Mlp, WithoutHiddenLayersIsSoftmaxRegression) {
  Json config = kConfig;
  config["hidden_sizes"] = Json::array();
  const Options options = require_options(config, "test");
  EXPECT_EQ(options.hidden_size, 784);
  const ParameterTable table = parameter_table(options);
  ASSERT_EQ(table.size(), 2U);
  EXPECT_EQ(table[0].shape, (std::vector<std::int64_t>{10, 784}));
  config.erase("hidden_sizes");
  EXPECT_EQ(parameter_table(require_options(config, "test")).size(), 2U);
}

TEST(Mlp, WritesTheConfigurationThatItReads) {
  const Options options = require_options(kConfig, "test");
  EXPECT_TRUE(options.reads_features());
  EXPECT_EQ(to_config(options), kConfig);
  Json exported = kConfig;
  exported["torch_dtype"] = "float32";  // as an export has it
  EXPECT_EQ(to_config(require_options(exported, "test")), kConfig);
}

TEST(Mlp, SaysWhatIsWrongWithItsConfiguration) {
  EXPECT_EQ(problems_of({{"input_size", nullptr}}),
            std::vector<std::string>{"input_size: is missing"});
  EXPECT_EQ(problems_of({{"num_labels", 0}}),
            std::vector<std::string>{"num_labels: expected an integer from 1 to 16777216, got 0"});
  for (const Json& sizes : {Json(400), Json({400, 0}), Json({400.5}), Json({"400"})})
    EXPECT_EQ(problems_of({{"hidden_sizes", sizes}}).size(), 1U) << sizes;
  EXPECT_EQ(problems_of({{"vocab_size", 10}}).size(), 1U);
  const Json wide = std::vector<std::int64_t>(8, 1 << 24);  // 2e15 values
  EXPECT_NE(problems_of({{"hidden_sizes", wide}}).at(0).find("parameters, at most"),
            std::string::npos);
}

TEST(Mlp, CostsItsProducts) {
  const Options options = require_options(kConfig, "test");
  const Cost cost = cost_of(options, parameter_table(options),
                            {.global_batch_size = 128, .micro_batch_size = 64});
  const std::int64_t weights = 784 * 400 + 400 * 300 + 300 * 10;
  EXPECT_EQ(cost.parameters, weights + 400 + 300 + 10);
  EXPECT_EQ(cost.tokens, 128);
  const std::int64_t unasked = 2 * 784 * 400;  // the gradient of the images
  EXPECT_DOUBLE_EQ(cost.flops_per_token, static_cast<double>(6 * weights - unasked));
  EXPECT_GT(cost.activation_bytes, 64 * (784 + 400 + 300) * 4);
  EXPECT_LT(cost.activation_bytes, 64 * (784 + 400 + 300) * 4 * 3);
}

}  // namespace
}  // namespace moesaic::arch
