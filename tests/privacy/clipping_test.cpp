#include "privacy/clipping.h"

#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <cmath>

#include "support/parameters.h"

namespace moesaic {
namespace {

at::Tensor squares(const std::vector<double>& norms, std::int64_t groups) {
  return at::tensor(norms, at::kDouble).view({-1, groups}).square();
}

double factor(const ClippingRule& rule, double norm) {
  return rule.factors(squares({norm}, 1)).item<double>();
}

TEST(ClippingRule, BoundsTheNorm) {
  const ClippingRule flat = ClippingRule::named("flat", 2);
  EXPECT_DOUBLE_EQ(factor(flat, 8), 0.25);
  EXPECT_DOUBLE_EQ(factor(flat, 2), 1);
  EXPECT_DOUBLE_EQ(factor(flat, 0), 1);
  const ClippingRule automatic = ClippingRule::named("automatic", 2);
  EXPECT_DOUBLE_EQ(factor(automatic, 0.99), 2);
  EXPECT_LT(1e9 * factor(automatic, 1e9), 2);
  EXPECT_EQ(factor(ClippingRule::named("flat", 0), 1e9), 1);
  EXPECT_EQ(ClippingRule::named("adaptive", 2).clipping, Clipping::kFlat);
}

// All groups at their bound are together at the whole one.
TEST(ClippingRule, OfLayersSharesTheBound) {
  const ClippingRule rule = ClippingRule::named("per_layer", 3);
  const at::Tensor norm = at::tensor({10.0, 0.5, 20.0, 7.0}, at::kDouble);
  const at::Tensor clipped = rule.factors(norm.square().view({1, 4})).view({4}).mul(norm);
  EXPECT_NEAR(clipped[0].item<double>(), 1.5, 1e-12);
  EXPECT_NEAR(clipped[1].item<double>(), 0.5, 1e-12);
  EXPECT_LE(clipped.norm().item<double>(), 3);
}

TEST(ClippingGroups, AreThoseWithTrainableParameters) {
  std::vector<Parameter> parameters;
  for (const char* name : {"a", "b", "c", "d"})
    parameters.push_back(test::parameter_of(name, at::tensor({1.0}, at::kDouble)));
  parameters[0].group = parameters[2].group = arch::Group::kAttention;
  parameters[1].group = arch::Group::kHead;
  parameters[3].group = arch::Group::kNorms;
  parameters[3].trainable = false;
  const ParameterSet set(std::move(parameters));
  const ClippingGroups groups = ClippingGroups::of(set, Clipping::kPerLayer);
  EXPECT_EQ(groups.count, 2);
  EXPECT_EQ(groups.of_parameter, (std::vector<std::int64_t>{0, 1, 0, -1}));
  EXPECT_EQ(ClippingGroups::of(set, Clipping::kFlat).count, 1);
}

}  // namespace
}  // namespace moesaic
