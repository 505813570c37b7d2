#include "privacy/noise.h"

#include <ATen/ops/allclose.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "support/parameters.h"

namespace moesaic {
namespace {

at::Tensor zeros(at::IntArrayRef sizes, at::ScalarType dtype = at::kDouble) {
  return at::zeros(sizes, dtype);
}

/// Of parameters whose gradients were zero, in draw `number`.
Gradients noise_of(const ParameterSet& set, const SecretKey& key, std::uint64_t number,
                   double deviation, std::optional<RowRange> rows = {}) {
  Gradients gradients;
  for (const Parameter& parameter : set) {
    at::Tensor gradient = at::zeros_like(parameter.tensor);
    if (rows) gradient = gradient.narrow(0, 0, rows->count).clone();
    gradients.entries.push_back({parameter, gradient, rows});
  }
  PrivateNoise noise([&](const Step&) { return PrivateNoise::Draw{key, number, 0, deviation}; });
  MetricsRow row;
  noise.apply(RankContext::single(), Step{}, gradients, row);
  return gradients;
}

TEST(PrivateNoise, HasTheDeviationAndOtherValuesInEachDraw) {
  const SecretKey key = SecretKey::from_seed(5);
  const ParameterSet set{
      {test::parameter_of("w", zeros({100, 100})), test::parameter_of("v", zeros({100, 100}))}};
  const Gradients one = noise_of(set, key, 1, 3);
  const at::Tensor w = one.entries[0].gradient, v = one.entries[1].gradient;
  EXPECT_NEAR(w.square().mean().item<double>() / 9, 1, 0.04);
  EXPECT_NEAR(w.mean().item<double>(), 0, 0.12);
  EXPECT_NEAR(w.pow(4).mean().item<double>() / 81, 3, 0.4);  // of a Gaussian
  EXPECT_NEAR(w.mul(v).mean().item<double>() / 9, 0, 0.05);
  const at::Tensor later = noise_of(set, key, 2, 3).entries[0].gradient;
  EXPECT_NEAR(w.mul(later).mean().item<double>() / 9, 0, 0.05);
  EXPECT_TRUE(w.equal(noise_of(set, key, 1, 3).entries[0].gradient));
  EXPECT_FALSE(w.equal(noise_of(set, SecretKey::from_system(), 1, 3).entries[0].gradient));
}

TEST(PrivateNoise, OfAPartIsThatPartOfTheWhole) {
  const SecretKey key = SecretKey::from_seed(5);
  const ParameterSet whole{{test::expert_of("e", zeros({6, 3, 5}), 0, 6)}};
  const ParameterSet part{{test::expert_of("e", zeros({2, 3, 5}), 2, 6)}};
  const at::Tensor all = noise_of(whole, key, 1, 1).entries[0].gradient;
  EXPECT_TRUE(noise_of(part, key, 1, 1).entries[0].gradient.equal(all.narrow(0, 2, 2)));
  const at::Tensor row = noise_of(part, key, 1, 1, RowRange{1, 1}).entries[0].gradient;
  EXPECT_TRUE(row.equal(all.narrow(0, 3, 1)));
}

TEST(PrivateNoise, IsAddedAndIsNothingAtZero) {
  const SecretKey key = SecretKey::from_seed(5);
  const ParameterSet set{{test::parameter_of("w", zeros({4}, at::kFloat))}};
  EXPECT_EQ(noise_of(set, key, 1, 0).entries[0].gradient.abs().sum().item<double>(), 0);
  Gradients gradients = noise_of(set, key, 1, 1);
  const at::Tensor once = gradients.entries[0].gradient.clone();
  PrivateNoise noise([&](const Step&) { return PrivateNoise::Draw{key, 1, 0, 1}; });
  MetricsRow row;
  noise.apply(RankContext::single(), Step{}, gradients, row);
  EXPECT_LT(gradients.entries[0].gradient.sub(once, 2).abs().max().item<double>(), 1e-6);
}

// C y = z: what steps get is independent noise again once each is put together with those before.
TEST(PrivateNoise, OfBandsSolvesTheirMatrix) {
  const SecretKey key = SecretKey::from_seed(5);
  const ParameterSet set{
      {test::parameter_of("w", zeros({7})), test::parameter_of("v", zeros({3}))}};
  const std::vector<double> c{1, 0.5, 0.375};
  std::uint64_t number = 0, sequence = 0;
  PrivateNoise banded([&](const Step&) { return PrivateNoise::Draw{key, number, sequence, 2}; }, c);
  const auto next = [&] {
    Gradients gradients;
    for (const Parameter& p : set) gradients.entries.push_back({p, at::zeros_like(p.tensor)});
    MetricsRow row;
    ++number;
    banded.apply(RankContext::single(), Step{}, gradients, row);
    return gradients.entries[0].gradient;
  };
  std::vector<at::Tensor> y;
  for (int t = 0; t < 6; ++t) {
    y.push_back(next());
    at::Tensor z = at::zeros_like(y.back());
    for (std::size_t j = 0; j < c.size() && j < y.size(); ++j) z.add_(y[y.size() - 1 - j], c[j]);
    EXPECT_TRUE(at::allclose(z, noise_of(set, key, number, 2).entries[0].gradient, 1e-12, 1e-12));
  }
  ++sequence;  // nothing of before
  const at::Tensor first = next();
  EXPECT_TRUE(first.equal(noise_of(set, key, number, 2).entries[0].gradient));
}

}  // namespace
}  // namespace moesaic
