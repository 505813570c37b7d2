#include "engine/federated_notes.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "core/json_text.h"
#include "protocol/messages.h"

namespace moesaic {
namespace {

/// Of a model with 94 layers of 512 experts, each of which has got hundreds of millions of tokens.
SiloAnswer answer_of_a_large_model() {
  SiloAnswer answer{.report = {.silo = "a", .examples = 4, .tokens = 7, .steps = 2, .rate_sum = 1}};
  for (int layer = 0; layer < 94; ++layer)
    answer.report.routed_tokens[format("model.layers.{}.mlp", layer)] =
        std::vector<double>(512, 987'654'321);
  answer.loss = 1.5;
  answer.bytes = 99;
  return answer;
}

TEST(SiloAnswer, OfALargeModelGoesIntoOneMessage) {
  const SiloAnswer answer = answer_of_a_large_model();
  const Json json = to_json(answer);
  EXPECT_LT(json_text(json).size(), sites::kBodyBytes);
  const SiloAnswer read = answer_from(Json::parse(json_text(json)));
  EXPECT_EQ(read.report.routed_tokens, answer.report.routed_tokens);
  EXPECT_EQ(read.loss, 1.5);
  EXPECT_EQ(read.bytes, 99);
}

TEST(SiloAnswer, OfAnotherFormIsRefused) {
  Json json = to_json({.report = {.silo = "a"}});
  EXPECT_TRUE(answer_from(json).report.routed_tokens.empty());
  json["routed_tokens"] = {{"model.layers.0.mlp", "many"}};
  EXPECT_THROW(answer_from(json), Error);
}

}  // namespace
}  // namespace moesaic
