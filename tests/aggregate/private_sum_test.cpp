#include "aggregate/private_sum.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <vector>

#include "aggregate/aggregator.h"
#include "core/error.h"

namespace moesaic::aggregate {
namespace {

using Changes = std::vector<std::vector<double>>;

AggregatorOptions uniform_mean() { return {.weights = "uniform"}; }

/// One round of a parameter "w"; the silos have numbers of examples that must not matter.
std::vector<double> private_round(const PrivateSum& sum, const Changes& changes,
                                  std::uint64_t number = 1, std::size_t block = 1000000) {
  Aggregator rule(uniform_mean(), sum.silos, sum);
  std::vector<SiloReport> reports;
  for (std::size_t k = 0; k < changes.size(); ++k)
    reports.push_back({.silo = std::string(1, static_cast<char>('a' + k)),
                       .examples = static_cast<double>(1 + 10 * k)});
  rule.begin_round(reports);
  rule.draw({SecretKey::from_seed(7), number});
  EXPECT_TRUE(rule.looks_first());
  std::vector<std::span<const double>> rows(changes.begin(), changes.end());
  rule.look("w", rows);
  rule.end_look();
  std::vector<double> out(changes[0].size());
  for (std::size_t first = 0; first < out.size(); first += block) {
    const std::size_t count = std::min(block, out.size() - first);
    std::vector<std::span<const double>> parts;
    for (const auto& row : rows) parts.push_back(row.subspan(first, count));
    rule.step("w", first, parts, std::span(out).subspan(first, count));
  }
  return out;
}

TEST(PrivateSum, ClipsWholeChangesAndDividesByAPublicNumber) {
  const PrivateSum sum{.clip_norm = 1, .noise_multiplier = 0, .silos = 4};
  const std::vector<double> both = private_round(sum, {{30, 40}, {0.3, 0.4}});
  EXPECT_NEAR(both[0], (0.6 + 0.3) / 4, 1e-12);
  EXPECT_NEAR(both[1], (0.8 + 0.4) / 4, 1e-12);
  EXPECT_NEAR(private_round(sum, {{30, 40}})[0], 0.6 / 4, 1e-12) << "not by those that answered";
  EXPECT_THROW(private_round({.noise_multiplier = 0, .silos = 1}, {{1}, {1}}), Error);
}

TEST(PrivateSum, NeighboursDifferByClipNormAtMost) {
  const PrivateSum sum{.clip_norm = 0.5, .noise_multiplier = 0, .silos = 3};
  for (const double size : {0.0, 1e-3, 0.5, 7.0, 1e200}) {
    const std::vector<double> with = private_round(sum, {{1, 2}, {-3, 1}, {size, -size}});
    const std::vector<double> without = private_round(sum, {{1, 2}, {-3, 1}});
    const double moved = 3 * std::hypot(with[0] - without[0], with[1] - without[1]);
    EXPECT_LE(moved, 0.5 * (1 + 1e-9)) << size;
  }
}

TEST(PrivateSum, NoiseHasItsVarianceAndTheBlocksDoNotMatter) {
  constexpr std::size_t kValues = 200000;
  const PrivateSum sum{.clip_norm = 0.5, .noise_multiplier = 3, .silos = 5};
  const Changes changes = {std::vector<double>(kValues, 0.0)};
  const std::vector<double> noise = private_round(sum, changes);
  double mean = 0, square = 0;
  for (const double value : noise) {
    mean += value / kValues;
    square += value * value / kValues;
  }
  const double variance = std::pow(0.5 * 3 / 5, 2);
  EXPECT_NEAR(mean, 0, 5 * std::sqrt(variance / kValues));
  EXPECT_NEAR(square / variance, 1, 0.02);
  EXPECT_EQ(noise, private_round(sum, changes, 1, 777));
  EXPECT_NE(noise, private_round(sum, changes, 2)) << "each round has its own";
}

// Shares of the noise are of one sum: what is missing of it is known, and nothing is cut twice.
TEST(PrivateSum, OfSilosThatHideThemselvesIsAddedUpAsItIs) {
  const PrivateSum sum{.clip_norm = 0.5, .noise_multiplier = 3, .silos = 4, .in_silos = true};
  EXPECT_DOUBLE_EQ(4 * sum.share() * sum.share(), sum.deviation() * sum.deviation());
  EXPECT_EQ(sum.multiplier_of(4), 3);
  EXPECT_DOUBLE_EQ(sum.multiplier_of(1), 1.5);
  EXPECT_EQ((PrivateSum{.noise_multiplier = 3, .silos = 4}.multiplier_of(1)), 3);
  Aggregator rule(uniform_mean(), 4, sum);
  rule.begin_round({{.silo = "a"}, {.silo = "b"}});
  EXPECT_FALSE(rule.looks_first());
  const Changes changes = {{30, 40}, {2, -8}};
  const std::vector<std::span<const double>> rows(changes.begin(), changes.end());
  std::vector<double> out(2);
  rule.step("w", 0, rows, out);
  EXPECT_EQ(out, (std::vector<double>{8, 8}));
}

TEST(PrivateSum, NoRoundHasTheNoiseOfAnother) {
  Aggregator rule(uniform_mean(), 1, PrivateSum{});
  rule.begin_round({{.silo = "a"}});
  rule.draw({SecretKey::from_seed(7), 1});
  rule.begin_round({{.silo = "a"}});
  const std::vector<double> change = {0.5};
  const std::vector<std::span<const double>> rows = {change};
  std::vector<double> out(1);
  EXPECT_THROW(rule.step("w", 0, rows, out), Error) << "nothing was drawn for it";
}

TEST(PrivateSum, RefusesRulesThatClipNormDoesNotBound) {
  EXPECT_EQ(why_not_private(uniform_mean()), "");
  EXPECT_EQ(why_not_private({.type = "fedadam", .weights = "uniform"}), "");
  const std::vector<AggregatorOptions> refused = {
      {},
      {.type = "scaffold", .weights = "uniform"},
      {.type = "fednova", .weights = "uniform"},
      {.type = "median", .weights = "uniform"},
      {.weights = "tokens"},
      {.weights = "uniform", .lora = "svd"},
      {.weights = "uniform", .experts = "routed_tokens"}};
  for (const AggregatorOptions& options : refused) {
    EXPECT_NE(why_not_private(options), "");
    EXPECT_THROW(Aggregator(options, 3, PrivateSum{}), Error);
  }
}

}  // namespace
}  // namespace moesaic::aggregate
