// What a unit's rows go on with, use by use.
#include "privacy/clipping_sink.h"

#include <ATen/ops/allclose.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

#include <cmath>

#include "support/parameters.h"

namespace moesaic {
namespace {

using Kind = ParameterUse::Kind;

at::Tensor random(at::IntArrayRef sizes) { return at::randn(sizes, at::kDouble); }

Batch batch_of_units(const std::vector<std::int64_t>& units) {
  Batch batch;
  batch.example_id_T = at::tensor(units, at::kLong);
  batch.attention_offsets = {0, std::ssize(units)};
  return batch;
}

/// Two weights that several operations may use, and the sum of what is handed on.
struct Clipped : ::testing::Test {
  RankContext context = RankContext::single();
  ParameterSet set{{test::parameter_of("w", random({4, 6})), test::parameter_of("b", random({4}))}};
  Gradients gradients;
  std::unique_ptr<ClippingSink> sink;

  void make(const ClippingRule& rule, double divisor = 1) {
    auto sum = std::make_unique<AccumulatingSink>(set, context, MatmulKernel::kMkl);
    gradients = sum->gradients();
    sink = std::make_unique<ClippingSink>(
        set, context, ClippingSink::Options{.dtype = at::kDouble, .divisor = divisor, .rule = rule},
        std::move(sum));
    sink->begin({});
  }

  ParameterUse linear(const std::vector<std::int64_t>& units, bool passing = false) const {
    const auto rows = std::ssize(units);
    return {.kind = Kind::kLinear,
            .parameter = set[0],
            .input = random({rows, 6}),
            .output_gradient = random({rows, 4}),
            .example_R = at::tensor(units, at::kLong),
            .passing = passing};
  }
  ParameterUse embedding(const std::vector<std::int64_t>& ids,
                         const std::vector<std::int64_t>& units) const {
    return {.kind = Kind::kEmbedding,
            .parameter = set[0],
            .input = at::tensor(ids, at::kLong),
            .output_gradient = random({std::ssize(ids), 6}),
            .example_R = at::tensor(units, at::kLong)};
  }
  ParameterUse bias(const std::vector<std::int64_t>& units) const {
    return {.kind = Kind::kBias,
            .parameter = set[1],
            .input = {},
            .output_gradient = random({std::ssize(units), 4}),
            .example_R = at::tensor(units, at::kLong)};
  }

  void use(const std::vector<ParameterUse>& uses) {
    for (const ParameterUse& one : uses) sink->open(one.parameter);
    for (const ParameterUse& one : uses) {
      sink->add(one);
      const bool passing = one.passing;
      const HandOverAgain again = [one](const auto& take) { take(one); };
      sink->close(one.parameter, passing ? again : HandOverAgain());
    }
  }
  void end(const std::vector<std::int64_t>& units) {
    sink->expect(batch_of_units(units));
    sink->end();
  }

  /// Of unit `unit`, of both weights.
  std::vector<at::Tensor> by_hand(const std::vector<ParameterUse>& uses, std::int64_t unit) const {
    std::vector<at::Tensor> own{at::zeros_like(set[0].tensor), at::zeros_like(set[1].tensor)};
    for (ParameterUse one : uses) {
      one.weight_R = one.example_R.eq(unit);
      add_gradient(one, own[static_cast<std::size_t>(one.parameter.index)], MatmulKernel::kMkl);
    }
    return own;
  }
  static double norm(const std::vector<at::Tensor>& own) {
    double sum = 0;
    for (const at::Tensor& x : own) sum += x.square().sum().item<double>();
    return std::sqrt(sum);
  }
  /// The sums are those of units clipped one by one.
  void expect_clipped(const std::vector<ParameterUse>& uses, std::int64_t units, double bound) {
    std::vector<at::Tensor> sum{at::zeros_like(set[0].tensor), at::zeros_like(set[1].tensor)};
    for (std::int64_t u = 0; u < units; ++u) {
      const std::vector<at::Tensor> own = by_hand(uses, u);
      const double length = norm(own);
      EXPECT_NEAR(sink->norms()[u].item<double>(), length, 1e-11 * (1 + length)) << u;
      const double factor = length > bound ? bound / length : 1;
      for (std::size_t i = 0; i < 2; ++i) sum[i].add_(own[i], factor);
    }
    for (const GradientEntry& entry : gradients.entries)
      EXPECT_TRUE(at::allclose(entry.gradient, sum[static_cast<std::size_t>(entry.parameter.index)],
                               1e-10, 1e-12))
          << entry.parameter.name;
  }
};

TEST_F(Clipped, UnitsWhoseRowsAreInNoOrder) {
  make({Clipping::kFlat, 3});
  const std::vector<ParameterUse> uses{linear({2, 0, 3, 2, 0, 1}), bias({2, 0, 3, 2, 0, 1})};
  use(uses);
  end({0, 1, 2, 3});
  expect_clipped(uses, 4, 3);
}

TEST_F(Clipped, AllUsesOfAWeightWithTheirCrossTerms) {
  make({Clipping::kFlat, 4});
  const std::vector<ParameterUse> uses{linear({0, 0, 1, 2}), linear({0, 1, 1, 2}),
                                       embedding({3, 3, 0, 1}, {0, 0, 1, 2}),
                                       embedding({3, 2, 0, 1}, {0, 1, 1, 2})};
  use(uses);
  end({0, 1, 2});
  expect_clipped(uses, 3, 4);
}

TEST_F(Clipped, PiecesThatPassAndUsesThatStay) {
  make({Clipping::kFlat, 4});
  const std::vector<ParameterUse> uses{linear({0, 0, 1, 2, 2}, true), linear({0, 1, 1, 2, 2}, true),
                                       embedding({3, 3, 0, 1}, {0, 0, 1, 2})};
  use(uses);
  end({0, 1, 2});
  expect_clipped(uses, 3, 4);
}

// Many rows: the Gram matrices would cost more than the gradient.
TEST_F(Clipped, UnitsOfManyRows) {
  make({Clipping::kFlat, 4});
  const std::vector<std::int64_t> units(40, 0);
  const std::vector<ParameterUse> uses{linear(units), bias(units)};
  use(uses);
  end({0});
  expect_clipped(uses, 1, 4);
}

TEST_F(Clipped, ByTheGradientOfTheUnitAndNotOfItsShare) {
  make({Clipping::kNone, 0}, 8);
  const std::vector<ParameterUse> uses{linear({0, 1})};
  use(uses);
  end({0, 1});
  EXPECT_NEAR(sink->norms()[0].item<double>(), 8 * norm(by_hand(uses, 0)), 1e-10);
}

TEST_F(Clipped, CountsTheUnitsBelowTheBound) {
  make({Clipping::kFlat, 1});
  ParameterUse use_of_bias = bias({0, 1, 2});
  use_of_bias.output_gradient = at::tensor({0.5, 2.0, 1.0}, at::kDouble)
                                    .unsqueeze(1)
                                    .mul(at::tensor({1.0, 0.0, 0.0, 0.0}, at::kDouble));
  use({use_of_bias});
  end({0, 1, 2, 4});  // the last has no gradient
  EXPECT_EQ(sink->units(), 4);
  EXPECT_EQ(sink->units_below(), 3);
}

TEST_F(Clipped, RoundsWithoutUnits) {
  make({Clipping::kFlat, 1});
  sink->expect(empty_batch());
  sink->end();
  EXPECT_EQ(sink->units(), 0);
  for (const GradientEntry& entry : gradients.entries)
    EXPECT_EQ(entry.gradient.abs().sum().item<double>(), 0);
}

TEST_F(Clipped, InFloat32To1em5) {
  const ParameterUse wide = linear({0, 0, 0, 1, 1, 2});
  SquaredNorms exact(3, 0.0), narrow(3, 0.0);
  UnitNorms{MatmulKernel::kMkl, at::zeros({4, 6}, at::kDouble), exact}.add({wide});
  ParameterUse single = wide;
  single.input = wide.input.to(at::kFloat);
  single.output_gradient = wide.output_gradient.to(at::kFloat);
  UnitNorms{MatmulKernel::kMkl, at::zeros({4, 6}, at::kFloat), narrow}.add({single});
  for (std::size_t u = 0; u < 3; ++u) EXPECT_NEAR(narrow[u] / exact[u], 1, 1e-5);
}

// Mistakes that others have made, and what they do to the bound.
struct ClippingMistakes : Clipped {
  /// One row of one unit, whose gradient of the bias is `value` in its first place.
  void use_of_bias(double value) {
    ParameterUse one = bias({0});
    one.output_gradient = at::tensor({value, 0.0, 0.0, 0.0}, at::kDouble).view({1, 4});
    use({one});
  }
  double clipped_bias(double value) {
    make({Clipping::kFlat, 1});
    use_of_bias(value);
    end({0});
    for (const GradientEntry& entry : gradients.entries)
      if (entry.parameter.name == "b") return entry.gradient[0].item<double>();
    return 0;
  }
};

// Divided by the units that there are, a mean changes by more than the bound over their number.
TEST_F(ClippingMistakes, AMeanOverTheUnitsThatThereAre) {
  const double a = clipped_bias(5), b = clipped_bias(-5);
  const double change = std::abs((a + b) / 2 - a / 1);
  EXPECT_GT(change, 1.0 / 2);
  constexpr double kExpected = 2;  // a public number does not
  EXPECT_LE(std::abs((a + b) / kExpected - a / kExpected), 1.0 / kExpected);
}

// A tied weight whose two uses are taken for two weights: the norm lacks their cross term.
TEST_F(ClippingMistakes, ATiedWeightWithoutItsCrossTerm) {
  const at::Tensor value = random({4});
  const ParameterSet two{
      {test::parameter_of("embedding", value), test::parameter_of("head", value)}};
  auto sum = std::make_unique<AccumulatingSink>(two, context, MatmulKernel::kMkl);
  const Gradients parts = sum->gradients();
  ClippingSink wrong(two, context,
                     ClippingSink::Options{.dtype = at::kDouble, .rule = {Clipping::kFlat, 1}},
                     std::move(sum));
  wrong.begin({});
  const at::Tensor gradient = random({1, 4}).mul(100);
  for (const Parameter& parameter : two) {
    wrong.open(parameter);
    wrong.add({.kind = Kind::kBias,
               .parameter = parameter,
               .input = {},
               .output_gradient = gradient,
               .example_R = at::zeros({1}, at::kLong)});
    wrong.close(parameter, {});
  }
  wrong.expect(batch_of_units({0}));
  wrong.end();
  const at::Tensor tied = parts.entries[0].gradient.add(parts.entries[1].gradient);
  EXPECT_NEAR(norm({tied}), std::sqrt(2.0), 1e-9);
}

}  // namespace
}  // namespace moesaic
