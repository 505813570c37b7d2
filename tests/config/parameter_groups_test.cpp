#include "config/parameter_groups.h"

#include <gtest/gtest.h>

#include "config/name_pattern.h"
#include "config/recipe_reader.h"
#include "config/training_table.h"
#include "core/error.h"

namespace moesaic {
namespace {

arch::ParameterTable table_of(const std::vector<std::string>& names) {
  arch::ParameterTable table;
  for (const std::string& name : names) table.push_back({.name = name, .shape = {2, 2}});
  return table;
}

const std::vector<std::string> kNames = {"model.layers.0.self_attn.q_proj.weight",
                                         "model.layers.0.block_sparse_moe.experts.w1.weight",
                                         "lm_head.weight"};

TEST(NamePattern, MatchesTheWholeNameAndEnds) {
  EXPECT_TRUE(NamePattern("key", "a|bc*").matches("bcc"));
  EXPECT_FALSE(NamePattern("key", "b").matches("bc"));
  EXPECT_THROW(NamePattern("key", "(a"), Error);
  EXPECT_THROW(NamePattern("key", std::string(5000, '(')), Error);
  EXPECT_FALSE(NamePattern("key", "(a*)*b").matches(std::string(60, 'a')));  // exponential elsewhere
}

TEST(ParameterGroups, TheFirstThatMatchesHoldsAndTheRestStaysAsItWas) {
  arch::ParameterTable table = table_of(kNames);
  apply_groups({{".*q_proj.*", 0.5, 0.2}, {"model.*", 2.0, std::nullopt}}, table);
  EXPECT_EQ(table[0].learning_rate_ratio, 0.5);
  EXPECT_EQ(table[0].weight_decay, 0.2);
  EXPECT_EQ(table[1].learning_rate_ratio, 2.0);
  EXPECT_FALSE(table[1].weight_decay);
  EXPECT_EQ(table[2].learning_rate_ratio, 1.0);
}

TEST(ParameterGroups, KnowAnExpertsMatricesByEitherName) {
  for (const char* pattern : {".*experts[.]gate_proj[.]weight", ".*experts[.]w1[.]weight"}) {
    arch::ParameterTable table = table_of(kNames);
    apply_groups({{pattern, 3.0}}, table);
    EXPECT_EQ(table[1].learning_rate_ratio, 3.0) << pattern;
  }
}

TEST(ParameterGroups, SayWhatIsWrongWithAPattern) {
  const arch::ParameterTable table = table_of(kNames);
  EXPECT_FALSE(problem_of({.match = "lm_head.*"}, table));
  EXPECT_NE(problem_of({.match = "lm_head"}, table)->find("no parameter"), std::string::npos);
  EXPECT_NE(problem_of({.match = "*"}, table)->find("regular expression"), std::string::npos);
}

std::string recipe_with(const std::string& lines) {
  return "name: a\ndata: {train: [{path: /a.txt}]}\ntrain: {max_steps: 1}\nmodel: {config: "
         "{model_type: llama, vocab_size: 257, hidden_size: 8, intermediate_size: 8, "
         "num_hidden_layers: 1, num_attention_heads: 2}}\n" +
         lines;
}

std::string errors_of(const std::string& lines) {
  try {
    recipe_from_yaml(recipe_with(lines), "a.yaml");
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kRecipe);
    return error.what();
  }
  return "";
}

TEST(ParameterGroups, OfARecipeAreReadWrittenAndChecked) {
  const Recipe recipe = recipe_from_yaml(
      recipe_with("optimizer: {groups: [{match: '.*norm.*', learning_rate_ratio: 0.1}]}\n"),
      "a.yaml");
  const Recipe again = recipe_from_yaml(to_yaml(recipe), "b.yaml");
  ASSERT_EQ(again.optimizer.groups.size(), 1U);
  EXPECT_EQ(again.optimizer.groups[0].learning_rate_ratio, 0.1);
  EXPECT_FALSE(again.optimizer.groups[0].weight_decay);
  const auto table = training_table(again, architecture_of(again));
  for (const arch::ParameterInfo& info : table)
    EXPECT_EQ(info.learning_rate_ratio, info.group == arch::Group::kNorms ? 0.1 : 1.0) << info.name;
  const std::string error =
      errors_of("optimizer: {groups: [{match: 'norm', weight_decay: 0.0}]}\n");
  EXPECT_NE(error.find("a.yaml:5:"), std::string::npos) << error;
  EXPECT_NE(error.find("optimizer.groups[0].match"), std::string::npos) << error;
  EXPECT_NE(errors_of("optimizer: {groups: [{weight_decay: 0.0}]}\n").find("match is missing"),
            std::string::npos);
}

}  // namespace
}  // namespace moesaic
