#include "config/peft_options.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "config/lora_targets.h"
#include "core/format.h"
#include "support/temporary_folder.h"

namespace moesaic {
namespace {

using PeftNames = std::vector<std::string>;

arch::Options tiny_moe(const std::string& type) {
  const char* experts = type == "mixtral" ? "num_local_experts" : "num_experts";
  return arch::require_options({{"model_type", type},
                                {"vocab_size", 31},
                                {"hidden_size", 16},
                                {"intermediate_size", 12},
                                {"num_hidden_layers", 2},
                                {"num_attention_heads", 4},
                                {"num_key_value_heads", 2},
                                {experts, 4},
                                {"num_experts_per_tok", 2}},
                               "tiny");
}

// A folder with this adapter_config.json, and tensors of these names.
LoraOptions read_peft(const std::string& config, const std::string& type, const std::string& tensor,
                      ProblemList& problems) {
  const testing::TemporaryFolder folder;
  folder.file("adapter_config.json", config);
  const std::string header =
      format(R"({{"{}": {{"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}}}})", tensor);
  std::string size(8, '\0');
  size[0] = static_cast<char>(header.size());
  folder.file("adapter_model.safetensors", size + header);
  return lora_of_peft(folder.path(), tiny_moe(type), problems);
}

TEST(PeftOptions, NamesOfFusedExpertsBecomeModules) {
  ProblemList problems;
  const LoraOptions lora = read_peft(
      R"({"peft_type": "LORA", "r": 4, "lora_alpha": 12, "use_rslora": true, "bias": "none",
          "target_modules": ["q_proj"], "rank_pattern": {"mlp.experts.gate_up_proj": 8},
          "target_parameters": ["mlp.experts.gate_up_proj", "mlp.experts.down_proj",
                                "mlp.gate.weight"]})",
      "mixtral", "base_model.model.model.layers.0.mlp.experts.lora_A.weight", problems);
  EXPECT_FALSE(problems.has_errors());
  EXPECT_EQ(std::get<PeftNames>(lora.target_modules),
            (PeftNames{"block_sparse_moe.experts.down_proj", "block_sparse_moe.experts.gate_proj",
                       "block_sparse_moe.experts.up_proj", "q_proj"}));
  EXPECT_EQ(lora.router, "lora");
  EXPECT_EQ(lora.r, 4);
  EXPECT_EQ(lora.lora_alpha, 12);
  EXPECT_TRUE(lora.use_rslora);
  EXPECT_EQ(lora.rank_pattern,
            (NamedValues<std::int64_t>{{"block_sparse_moe.experts.gate_proj", 8},
                                       {"block_sparse_moe.experts.up_proj", 8}}));
}

TEST(PeftOptions, RanksOfSingleExpertsAreThoseOfTheirOwnTensors) {
  ProblemList problems;
  const LoraOptions lora = read_peft(
      R"({"r": 4, "target_modules": ["q_proj", "gate_proj", "up_proj", "down_proj"],
          "rank_pattern": {"mlp.experts.gate_up_proj": 8, "q_proj": 2},
          "target_parameters": ["mlp.experts.gate_up_proj", "mlp.experts.down_proj"]})",
      "olmoe", "base_model.model.model.layers.0.mlp.experts.3.up_proj.lora_A.weight", problems);
  EXPECT_FALSE(problems.has_errors());
  EXPECT_EQ(lora.rank_pattern, (NamedValues<std::int64_t>{{"q_proj", 2}}));
  EXPECT_EQ(lora.lora_alpha, 8) << "PEFT's own default";
  const auto& names = std::get<PeftNames>(lora.target_modules);
  EXPECT_NE(std::find(names.begin(), names.end(), "experts.up_proj"), names.end());
  EXPECT_EQ(std::find(names.begin(), names.end(), "up_proj"), names.end());
}

TEST(PeftOptions, ExpertsThatNobodyNamesStayOut) {
  ProblemList problems;
  const LoraOptions lora =
      read_peft(R"({"r": 4, "target_modules": ["q_proj"]})", "olmoe", "none", problems);
  EXPECT_EQ(std::get<PeftNames>(lora.exclude_modules), PeftNames{"experts"});
}

TEST(PeftOptions, LayersMayBeLeftOut) {
  ProblemList problems;
  const LoraOptions lora =
      read_peft(R"({"r": 4, "target_modules": ["q_proj"], "layers_to_transform": [1]})", "olmoe",
                "none", problems);
  const arch::Options arch = tiny_moe("olmoe");
  const auto targets = lora_targets(lora, arch, arch::parameter_table(arch));
  ASSERT_EQ(targets.size(), 1U);
  EXPECT_EQ(targets[0].weight, "model.layers.1.self_attn.q_proj.weight");
}

TEST(PeftOptions, MistakesNameFileAndKey) {
  ProblemList problems;
  read_peft(R"({"r": "four", "lora_alpha": -1, "target_modules": ["q_proj"]})", "olmoe", "none",
            problems);
  ASSERT_EQ(problems.size(), 2U);
  const std::string text = problems.sorted()[0].text();
  EXPECT_NE(text.find("adapter_config.json"), std::string::npos) << text;
  EXPECT_NE(text.find("expected"), std::string::npos) << text;
  EXPECT_THROW(read_peft("[1]", "olmoe", "none", problems), Error);
}

}  // namespace
}  // namespace moesaic
