// What the sums of squares are made of, use by use.
#include "continual/fisher_sink.h"

#include <ATen/ops/allclose.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

#include <array>

#include "support/parameters.h"

namespace moesaic {
namespace {

using Kind = ParameterUse::Kind;

at::Tensor random(at::IntArrayRef sizes) { return at::randn(sizes, at::kDouble); }

/// The sum over examples of the squares of what each has of all uses.
at::Tensor by_hand(const at::Tensor& like, const std::vector<ParameterUse>& uses,
                   std::int64_t examples, bool absolute = false) {
  at::Tensor sum = at::zeros_like(like);
  for (std::int64_t e = 0; e < examples; ++e) {
    const at::Tensor gradient = at::zeros_like(like);
    for (ParameterUse use : uses) {
      use.weight_R = use.example_R.eq(e);
      add_gradient(use, gradient, MatmulKernel::kMkl);
    }
    sum.add_(absolute ? gradient.abs() : gradient.square());
  }
  return sum;
}

bool near(const at::Tensor& a, const at::Tensor& b) { return at::allclose(a, b, 1e-11, 1e-13); }

struct Sums : ::testing::Test {
  ParameterSet set{{test::parameter_of("w", random({4, 6})), test::parameter_of("b", random({4}))}};
  FisherSink sink{set, {.dtype = at::kDouble}};

  ParameterUse rows_of_linear(const at::Tensor& example_R, bool passing = false) const {
    return {.kind = Kind::kLinear,
            .parameter = set[0],
            .input = random({example_R.size(0), 6}),
            .output_gradient = random({example_R.size(0), 4}),
            .example_R = example_R,
            .passing = passing};
  }
  ParameterUse rows_of_embedding(const at::Tensor& ids_R, const at::Tensor& example_R) const {
    return {.kind = Kind::kEmbedding,
            .parameter = set[0],
            .input = ids_R,
            .output_gradient = random({ids_R.size(0), 6}),
            .example_R = example_R};
  }
  HandOverAgain again(const std::vector<ParameterUse>& uses) const {
    return [uses](const auto& take) {
      for (const ParameterUse& use : uses) take(use);
    };
  }
};

// Two of the examples have one row.
TEST_F(Sums, OfALinearMapWhoseRowsAreInNoOrder) {
  const ParameterUse use = rows_of_linear(at::tensor({2, 0, 3, 2, 0, 1}, at::kLong));
  sink.open(set[0]);
  sink.add(use);
  sink.close(set[0], {});
  sink.end();
  EXPECT_TRUE(near(sink.sum(set[0]), by_hand(set[0].tensor, {use}, 4)));
}

TEST_F(Sums, OfAllUsesOfAParameterHaveTheirCrossTerms) {
  const at::Tensor example = at::tensor({0, 0, 1, 2}, at::kLong);
  const ParameterUse linear = rows_of_linear(example);
  const ParameterUse embedding = rows_of_embedding(at::tensor({3, 3, 0, 1}, at::kLong), example);
  sink.open(set[0]);
  sink.open(set[0]);
  for (const ParameterUse& use : {linear, embedding}) {
    sink.add(use);
    sink.close(set[0], {});
  }
  sink.end();
  const at::Tensor together = by_hand(set[0].tensor, {linear, embedding}, 3);
  EXPECT_TRUE(near(sink.sum(set[0]), together));
  EXPECT_FALSE(near(
      together, by_hand(set[0].tensor, {linear}, 3).add(by_hand(set[0].tensor, {embedding}, 3))));
}

/// A head in three pieces, whose second example goes over two cuts.
struct Pieces : Sums {
  std::vector<ParameterUse> pieces = {rows_of_linear(at::tensor({0, 0, 1}, at::kLong), true),
                                      rows_of_linear(at::tensor({1, 1}, at::kLong), true),
                                      rows_of_linear(at::tensor({1, 2, 3, 3}, at::kLong), true)};
};

TEST_F(Pieces, OfAnOutputHeadAreOneGradientForEachExample) {
  for (int round = 0; round < 2; ++round) {
    sink.begin({.index = round, .last = round == 1});
    sink.open(set[0]);
    for (const ParameterUse& piece : pieces) sink.add(piece);
    sink.close(set[0], [](const auto&) { FAIL() << "nobody needs them again"; });
    sink.end();
  }
  EXPECT_TRUE(near(sink.sum(set[0]), by_hand(set[0].tensor, pieces, 4).mul(2)));
}

TEST_F(Pieces, OfWeightAndBiasMayComeInTurn) {
  std::vector<ParameterUse> of_bias;
  for (const ParameterUse& piece : pieces) {
    of_bias.push_back({.kind = Kind::kBias,
                       .parameter = set[1],
                       .input = {},
                       .output_gradient = piece.output_gradient,
                       .example_R = piece.example_R,
                       .passing = true});
  }
  for (const Parameter& parameter : set) sink.open(parameter);
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    sink.add(pieces[i]);
    sink.add(of_bias[i]);
  }
  for (const Parameter& parameter : set) sink.close(parameter, again({}));
  sink.end();
  EXPECT_TRUE(near(sink.sum(set[0]), by_hand(set[0].tensor, pieces, 4)));
  EXPECT_TRUE(near(sink.sum(set[1]), by_hand(set[1].tensor, of_bias, 4)));
}

// The embedding comes last, when the head's pieces are gone; example 4 is in the embedding alone.
TEST_F(Pieces, OfATiedHeadAreAskedForAgain) {
  const ParameterUse embedding = rows_of_embedding(at::tensor({3, 3, 0, 1, 2}, at::kLong),
                                                   at::tensor({0, 1, 1, 3, 4}, at::kLong));
  sink.open(set[0]);
  sink.open(set[0]);
  for (const ParameterUse& piece : pieces) sink.add(piece);
  sink.close(set[0], again(pieces));
  sink.add(embedding);
  sink.close(set[0], {});
  sink.end();
  std::vector<ParameterUse> all = pieces;
  all.push_back(embedding);
  EXPECT_TRUE(near(sink.sum(set[0]), by_hand(set[0].tensor, all, 5)));
}

TEST_F(Pieces, OfSeveralHeadsAddUpToOneGradient) {
  sink.open(set[0]);
  for (int head = 0; head < 2; ++head) {
    sink.open(set[0]);
    for (const ParameterUse& piece : pieces) sink.add(piece);
    sink.close(set[0], again(pieces));
  }
  sink.close(set[0], {});
  sink.end();
  EXPECT_TRUE(near(sink.sum(set[0]), by_hand(set[0].tensor, pieces, 4).mul(4)));
}

TEST(FisherSink, CountsTheExamplesThatReachAnExpert) {
  const ParameterSet set({test::expert_of("w", random({3, 4, 6}), 0, 3)});
  for (const Magnitude magnitude : {Magnitude::kSquare, Magnitude::kAbsolute}) {
    FisherSink sink(set, {.magnitude = magnitude, .dtype = at::kDouble});
    const ParameterUse use{.kind = Kind::kGrouped,
                           .parameter = set[0],
                           .input = random({6, 6}),
                           .output_gradient = random({6, 4}),
                           .example_R = at::tensor({2, 0, 2, 1, 0, 5}, at::kLong),
                           .offsets = std::vector<std::int64_t>{0, 4, 4, 6}};
    sink.open(set[0]);
    sink.add(use);
    sink.close(set[0], {});
    sink.end();
    const at::Tensor& reached = sink.reached(set[0]);
    EXPECT_EQ(reached[0].item<std::int64_t>(), 3);
    EXPECT_EQ(reached[1].item<std::int64_t>(), 0);
    EXPECT_EQ(reached[2].item<std::int64_t>(), 2);
    at::Tensor expected = at::zeros_like(set[0].tensor);
    const bool absolute = magnitude == Magnitude::kAbsolute;
    for (const auto& [expert, first, rows] :
         {std::array<std::int64_t, 3>{0, 0, 4}, std::array<std::int64_t, 3>{2, 4, 2}}) {
      const ParameterUse own{.kind = Kind::kLinear,
                             .parameter = set[0],
                             .input = use.input.narrow(0, first, rows),
                             .output_gradient = use.output_gradient.narrow(0, first, rows),
                             .example_R = use.example_R.narrow(0, first, rows)};
      expected[expert].copy_(by_hand(set[0].tensor[expert], {own}, 6, absolute));
    }
    EXPECT_TRUE(near(sink.sum(set[0]), expected));
  }
}

}  // namespace
}  // namespace moesaic
