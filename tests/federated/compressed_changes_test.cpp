#include "federated/compressed_changes.h"

#include <ATen/ops/allclose.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include "support/parameters.h"

namespace moesaic {
namespace {

struct Sent {
  ParameterSet parameters;
  RoundModel model;
  RankContext context = RankContext::single();

  Sent() : parameters(set()) {
    model.take(parameters, [](const Parameter&) { return RoundModel::Kind::kShared; });
  }
  static std::vector<Parameter> set() {
    std::vector<Parameter> parameters;
    parameters.push_back(test::parameter_of("w", at::tensor({0.0, 0.0, 0.0, 0.0}, at::kDouble)));
    return parameters;
  }
};

// The largest value travels; the others wait, and add up until they are it.
TEST(CompressedChanges, KeepsWhatDoesNotGetThroughForTheNextRound) {
  Sent sent;
  CompressedChanges compressed({.type = "top_k", .share = 0.25}, sent.parameters, sent.model);
  at::Tensor sum = at::tensor({0.0, 0.0, 0.0, 0.0}, at::kDouble);
  const at::Tensor change = at::tensor({1.0, -0.75, 0.5, 0.0}, at::kDouble);
  for (int round = 1; round <= 12; ++round) {
    std::vector<at::Tensor> tensors = {change};
    const auto packed = compressed.apply(sent.context, tensors);
    ASSERT_EQ(packed.size(), 1U);
    EXPECT_FALSE(packed[0].empty());
    EXPECT_EQ(tensors[0].ne(0).sum().item<std::int64_t>(), 1);
    sum.add_(tensors[0]);
    const at::Tensor left = compressed.state().at(0).tensor;
    EXPECT_TRUE(at::allclose(sum.to(at::kDouble).add(left), change.mul(round)));
  }
}

TEST(CompressedChanges, RoundsToBfloat16) {
  Sent sent;
  CompressedChanges compressed({.type = "bfloat16"}, sent.parameters, sent.model);
  std::vector<at::Tensor> tensors = {at::tensor({1.0, 1.0 + 1.0 / 1024, -3.0, 0.1}, at::kDouble)};
  const at::Tensor expected = tensors[0].to(at::kBFloat16).to(at::kDouble);
  EXPECT_EQ(compressed.apply(sent.context, tensors).at(0).size(), 8U);
  EXPECT_TRUE(at::allclose(tensors[0], expected, 0, 0));
}

}  // namespace
}  // namespace moesaic
