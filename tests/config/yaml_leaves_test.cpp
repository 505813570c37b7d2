#include "config/yaml_leaves.h"

#include <gtest/gtest.h>

namespace moesaic {
namespace {

using Leaves = std::vector<std::pair<std::string, std::string>>;

Leaves leaves_of(const std::string& text) {
  ProblemList problems;
  return yaml_leaves(parse_yaml(text, "test", problems));
}

TEST(YamlLeaves, AreEveryScalarByItsPath) {
  const Leaves expected = {{"name", "x"},
                           {"optimizer.betas", "[0.9, 0.95]"},
                           {"data.train[0].path", "a.txt"},
                           {"data.train[1].path", "b.txt"},
                           {"data.train[1].weight", "2"},
                           {"data.valid", "[]"},
                           {"adapt", "null"}};
  EXPECT_EQ(leaves_of("name: x\noptimizer: {betas: [0.9, 0.95]}\ndata:\n  train:\n"
                      "    - path: a.txt\n    - {path: b.txt, weight: 2}\n  valid: []\nadapt:\n"),
            expected);
}

TEST(YamlLeaves, OfNothingOrADamagedTextAreNone) {
  EXPECT_TRUE(leaves_of("").empty());
  EXPECT_TRUE(leaves_of("a: [1, 2").empty());
}

}  // namespace
}  // namespace moesaic
