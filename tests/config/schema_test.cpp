#include "config/schema.h"

#include <gtest/gtest.h>

#include <set>

#include "config/schema_text.h"
#include "core/error.h"

namespace moesaic {
namespace {

TEST(Schema, DescribesEveryKeyOnce) {
  std::set<std::string> paths;
  for (const Key& key : recipe_keys()) {
    EXPECT_TRUE(paths.insert(key.path).second) << key.path;
    EXPECT_FALSE(key.meaning.empty()) << key.path;
    EXPECT_FALSE(key.type.empty()) << key.path;
    EXPECT_NE(key.default_text.empty(), !key.rule.required) << key.path;
    EXPECT_EQ(is_section(key.path), key.opens_block) << key.path;
  }
  EXPECT_TRUE(is_section("moe.balance"));
  EXPECT_FALSE(is_section("moe.bal"));
}

TEST(Schema, AcceptsItsOwnDefaults) {
  const Recipe defaults;
  for (const Key& key : recipe_keys()) {
    const std::optional<std::string> written = key.write(defaults);
    if (!written || key.path == "name") continue;
    ProblemList problems;
    Recipe recipe;
    key.read(recipe, parse_yaml(*written, "default", problems), key.path, problems);
    EXPECT_FALSE(problems.has_errors()) << key.path << " " << *written;
  }
}

TEST(Schema, RefusesEveryKindOfWrongValue) {
  for (const Key& key : recipe_keys()) {
    if (key.type.starts_with("text") || key.type == "path" || key.opens_block) continue;
    for (const char* wrong : {"{a: {b: c}, d: .nan}", "\"1\"", "yes", "[[]]"}) {
      ProblemList problems;
      Recipe recipe;
      const YamlNode node = parse_yaml(wrong, "t", problems);
      key.read(recipe, node, key.path, problems);
      EXPECT_TRUE(problems.has_errors()) << key.path << " " << wrong;
    }
  }
}

TEST(Schema, RefusesNumbersOutOfRange) {
  const std::pair<const char*, const char*> cases[] = {
      {"optimizer.learning_rate", "0"},  {"optimizer.learning_rate", ".inf"},
      {"optimizer.betas", "[0.9, 1.0]"}, {"optimizer.betas", "[0.9]"},
      {"schedule.min_ratio", "1.5"},     {"train.clip_norm", "-1"},
      {"train.global_batch_size", "0"},  {"train.max_steps", "1e3"},
      {"seed", "18446744073709551616"},  {"parallel.timeout_s", "0"},
      {"train.restarts", "-1"},          {"train.restart_window_s", "0"},
      {"checkpoint.keep", "0"},          {"optimizer.momentum", "1"}};
  for (const auto& [path, value] : cases) {
    ProblemList problems;
    Recipe recipe;
    find_key(path)->read(recipe, parse_yaml(value, "t", problems), path, problems);
    EXPECT_TRUE(problems.has_errors()) << path << " " << value;
  }
}

TEST(SchemaText, NamesEveryKeyInEveryForm) {
  const std::string markdown = schema_markdown();
  const std::string table = schema_table();
  std::set<std::string> listed;
  for (const Json& entry : schema_json()) listed.insert(entry.at("key").get<std::string>());
  for (const Key& key : recipe_keys()) {
    EXPECT_NE(markdown.find("| `" + key.path + "` |"), std::string::npos) << key.path;
    EXPECT_NE(table.find(key.path), std::string::npos) << key.path;
    EXPECT_EQ(listed.count(key.path), 1U) << key.path;
  }
  EXPECT_EQ(listed.count("data.train[].path"), 1U);
}

}  // namespace
}  // namespace moesaic
