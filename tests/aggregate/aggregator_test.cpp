#include "aggregate/aggregator.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "core/error.h"

namespace moesaic::aggregate {
namespace {

using Changes = std::vector<std::vector<double>>;

/// One round of one parameter "w" with silos a, b, c ...
std::vector<double> round_of(Aggregator& rule, const Changes& changes,
                             std::vector<SiloReport> reports = {}) {
  for (std::size_t k = reports.size(); k < changes.size(); ++k)
    reports.push_back({.silo = std::string(1, static_cast<char>('a' + k)), .examples = 1});
  rule.begin_round(reports);
  const std::vector<std::span<const double>> rows(changes.begin(), changes.end());
  if (rule.looks_first()) {
    rule.look("w", rows);
    rule.end_look();
  }
  std::vector<double> out(changes[0].size());
  rule.step("w", 0, rows, out);
  return out;
}

std::vector<double> once(const AggregatorOptions& options, const Changes& changes,
                         std::vector<SiloReport> reports = {}) {
  Aggregator rule(options, changes.size());
  return round_of(rule, changes, std::move(reports));
}

TEST(Aggregator, FedAvgWeighsByExamplesTokensOrNothing) {
  const std::vector<SiloReport> reports = {{.silo = "a", .examples = 1, .tokens = 30},
                                           {.silo = "b", .examples = 3, .tokens = 10}};
  const Changes changes = {{4, 0}, {0, 8}};
  EXPECT_EQ(once({}, changes, reports), (std::vector<double>{1, 6}));
  EXPECT_EQ(once({.weights = "tokens"}, changes, reports), (std::vector<double>{3, 2}));
  EXPECT_EQ(once({.weights = "uniform"}, changes, reports), (std::vector<double>{2, 4}));
}

TEST(Aggregator, AnExpertWeighsByTheTokensRoutedToIt) {
  Aggregator rule({.experts = "routed_tokens"}, 2);
  rule.begin_round({{.silo = "a", .examples = 1, .routed_tokens = {{"layers.0", {0, 9}}}},
                    {.silo = "b", .examples = 1, .routed_tokens = {{"layers.0", {5, 1}}}}});
  using Shares = std::vector<double>;
  EXPECT_EQ(rule.weights_of("layers.0.experts.1.up"), (Shares{0.9, 0.1}));
  EXPECT_EQ(rule.weights_of("layers.0.experts.0.up"), (Shares{0, 1}));
  for (const char* other : {"layers.0.experts.2.up", "layers.1.experts.1.up", "layers.0.up",
                            "layers.0.experts.up", "layers.0.experts.-1.up"})
    EXPECT_EQ(rule.weights_of(other), (Shares{0.5, 0.5})) << other;
}

TEST(Aggregator, TheOrderOfAnswersAndTheBlocksDoNotMatter) {
  const std::vector<double> a = {0.1, 0.7, -3e-17}, b = {1e16, 0.2, 5}, c = {-1e16, 0.3, 0.11};
  const std::vector<double> whole = once({}, {a, b, c});
  Aggregator rule({}, 3);
  rule.begin_round(
      {{.silo = "c", .examples = 1}, {.silo = "a", .examples = 1}, {.silo = "b", .examples = 1}});
  EXPECT_EQ(rule.reports()[0].silo, "a");
  std::vector<double> out(3);
  for (std::size_t i = 0; i < 3; ++i) {
    const std::vector<std::span<const double>> rows = {
        std::span(a).subspan(i, 1), std::span(b).subspan(i, 1), std::span(c).subspan(i, 1)};
    rule.step("w", i, rows, std::span(out).subspan(i, 1));
  }
  EXPECT_EQ(out, whole);
}

TEST(Aggregator, ServerMomentumAddsUp) {
  Aggregator rule({.type = "fedavgm", .learning_rate = 2, .momentum = 0.5}, 1);
  EXPECT_EQ(round_of(rule, {{1}}), (std::vector<double>{2}));
  EXPECT_EQ(round_of(rule, {{1}}), (std::vector<double>{3}));
  EXPECT_EQ(rule.state().at("momentum/w"), (std::vector<double>{1.5}));
}

TEST(Aggregator, AdaptiveServersFollowTheirEquations) {
  const double tau = 0.5, change = 2;
  for (const std::string type : {"fedadam", "fedyogi", "fedadagrad"}) {
    Aggregator rule({.type = type, .learning_rate = 0.1, .beta_1 = 0.9, .beta_2 = 0.75, .tau = tau},
                    1);
    double m = 0, v = tau * tau;
    for (int round = 0; round < 3; ++round) {
      const double square = change * change, beta = type == "fedadagrad" ? 0.0 : 0.9;
      m = beta * m + (1 - beta) * change;
      if (type == "fedadam") v = 0.75 * v + 0.25 * square;
      if (type == "fedyogi") v += 0.25 * square * (v < square ? 1.0 : -1.0);
      if (type == "fedadagrad") v += square;
      EXPECT_NEAR(round_of(rule, {{change}})[0], 0.1 * m / (std::sqrt(v) + tau), 1e-15) << type;
    }
  }
}

TEST(Aggregator, AJournalledStateGoesOnWithTheSameBits) {
  Aggregator whole({.type = "fedyogi"}, 2), first({.type = "fedyogi"}, 2);
  round_of(whole, {{0.1, 2}, {0.3, -1}});
  round_of(first, {{0.1, 2}, {0.3, -1}});
  Aggregator second({.type = "fedyogi"}, 2);
  second.state() = first.state();
  EXPECT_EQ(round_of(whole, {{1, 1}, {3, 2}}), round_of(second, {{1, 1}, {3, 2}}));
}

// Two silos with losses h_k / 2 (x - e_k)^2, k steps each: FedNova's fixed point is the minimum of
// the weighted sum, FedAvg's is not (arXiv 2007.07481, section 3).
TEST(Aggregator, FedNovaFindsTheMinimumWithUnequalSteps) {
  const double h[] = {1.0, 2.0}, e[] = {0.0, 3.0}, p[] = {0.5, 0.5}, rate = 1e-4;
  const int steps[] = {2, 10};
  const double best = (p[0] * h[0] * e[0] + p[1] * h[1] * e[1]) / (p[0] * h[0] + p[1] * h[1]);
  const auto run = [&](const std::string& type) {
    Aggregator rule({.type = type}, 2);
    double x = 1;
    for (int round = 0; round < 20000; ++round) {
      Changes changes;
      for (int k = 0; k < 2; ++k) {
        double y = x;
        for (int s = 0; s < steps[k]; ++s) y -= rate * h[k] * (y - e[k]);
        changes.push_back({y - x});
      }
      x += round_of(
          rule, changes,
          {{.silo = "a", .examples = 5, .steps = 2}, {.silo = "b", .examples = 5, .steps = 10}})[0];
    }
    return x;
  };
  EXPECT_NEAR(run("fednova"), best, 2e-3);
  EXPECT_GT(std::abs(run("fedavg") - best), 0.3);
}

TEST(Aggregator, FedNovaLengthIsTheSumOfTheMomentumWeights) {
  double sum = 0;
  for (int s = 1; s <= 7; ++s) sum += (1 - std::pow(0.9, s)) / (1 - 0.9);
  EXPECT_NEAR(fednova_length(7, 0.9), sum, 1e-12);
  EXPECT_EQ(fednova_length(7, 0), 7);
}

// With heterogeneous quadratics SCAFFOLD goes to the minimum of the sum at a rate at which FedAvg
// stays away from it; its controls become the gradients there (arXiv 1910.06378).
TEST(Aggregator, ScaffoldFindsTheMinimumThatFedAvgMisses) {
  const double h[] = {1.0, 3.0}, e[] = {0.0, 4.0}, rate = 0.1;
  const double best = (h[0] * e[0] + h[1] * e[1]) / (h[0] + h[1]);
  const auto run = [&](const std::string& type) {
    Aggregator rule({.type = type}, 2);
    double x = 1;
    std::vector<std::vector<double>> own = {{0.0}, {0.0}};
    for (int round = 0; round < 300; ++round) {
      const std::vector<double> c =
          rule.state().contains("control/w") ? rule.state().at("control/w") : std::vector{0.0};
      Changes changes;
      for (std::size_t k = 0; k < 2; ++k) {
        double y = x;
        for (int s = 0; s < 5; ++s) {
          const double correction = type == "scaffold" ? c[0] - own[k][0] : 0;
          y -= rate * (h[k] * (y - e[k]) + correction);
        }
        changes.push_back({y - x});
        move_silo_control(c, changes[k], 5 * rate, own[k]);
      }
      const SiloReport a{.silo = "a", .examples = 1, .rate_sum = 5 * rate};
      const SiloReport b{.silo = "b", .examples = 1, .rate_sum = 5 * rate};
      x += round_of(rule, changes, {a, b})[0];
    }
    if (type == "scaffold") {
      EXPECT_NEAR(own[0][0], h[0] * (best - e[0]), 1e-6);
      EXPECT_NEAR(rule.state().at("control/w")[0], (own[0][0] + own[1][0]) / 2, 1e-12);
    }
    return x;
  };
  EXPECT_NEAR(run("scaffold"), best, 1e-6);
  EXPECT_GT(std::abs(run("fedavg") - best), 0.05);
}

TEST(Aggregator, RobustRulesStandAHostileSilo) {
  Changes changes = {{1.0, 2.0},   {1.1, 2.1},   {0.9, 1.9},  {1.05, 2.05},
                     {0.95, 1.95}, {1.02, 2.02}, {0.98, 1.98}};
  for (const double hostile : {1e3, -1e300, 1e308}) {
    changes[3] = {hostile, -hostile};
    for (const std::string type : {"median", "trimmed_mean", "krum", "multi_krum", "bulyan"}) {
      const std::vector<double> taken = once({.type = type}, changes);
      EXPECT_NEAR(taken[0], 1.0, 0.1) << type << " " << hostile;
      EXPECT_NEAR(taken[1], 2.0, 0.1) << type << " " << hostile;
    }
  }
  changes[3] = {1e3, -1e3};
  EXPECT_GT(once({}, changes)[0], 100);
}

// A silo that was refused before is one of the hostile ones: what is left needs to stand fewer.
TEST(Aggregator, RefusedSilosCountAmongTheHostileOnes) {
  const auto left = [](const std::string& type, std::size_t refused, std::size_t silos) {
    Aggregator rule({.type = type, .f = 1}, 7);
    Changes changes;
    for (std::size_t k = 0; k < silos; ++k) changes.push_back({1.0 + 0.01 * double(k)});
    std::vector<SiloReport> reports;
    for (std::size_t k = 0; k < silos; ++k) reports.push_back({.silo = format("s{}", k)});
    rule.begin_round(reports, refused);
    const std::vector<std::span<const double>> rows(changes.begin(), changes.end());
    if (rule.looks_first()) rule.look("w", rows), rule.end_look();
    std::vector<double> out(1);
    rule.step("w", 0, rows, out);
    return out[0];
  };
  EXPECT_NEAR(left("krum", 1, 4), 1.0, 0.1);
  EXPECT_NEAR(left("multi_krum", 1, 4), 1.015, 1e-12);  // n - f: all that are left
  EXPECT_NEAR(left("bulyan", 1, 6), 1.025, 1e-12);
  EXPECT_NEAR(left("krum", 2, 3), 1.0, 0.1);  // f is not below 0
  EXPECT_THROW(left("krum", 0, 4), Error);
  EXPECT_THROW(left("krum", 1, 2), Error);
  EXPECT_EQ(without_refused({.type = "krum", .f = 3}, 2).f, 1);
  EXPECT_EQ(without_refused({.type = "krum", .f = 1}, 2).f, 0);
}

TEST(Aggregator, NormBoundClipsAWholeChange) {
  const std::vector<double> taken =
      once({.type = "norm_bound", .weights = "uniform", .bound = 5}, {{30, 40}, {0, 1}});
  EXPECT_NEAR(taken[0], 1.5, 1e-15);
  EXPECT_NEAR(taken[1], 2.5, 1e-15);
}

TEST(Aggregator, LooksMayBeSharedAmongRanks) {
  const std::vector<double> a = {3}, b = {1}, c = {4}, d = {0};
  const std::vector<std::span<const double>> v = {a, b}, w = {c, d};
  const std::vector<SiloReport> reports = {{.silo = "a"}, {.silo = "b"}};
  Aggregator alone({.type = "norm_bound"}, 2), one({.type = "norm_bound"}, 2),
      other({.type = "norm_bound"}, 2);
  for (Aggregator* rule : {&alone, &one, &other}) rule->begin_round(reports);
  alone.look("w", w), alone.look("v", v), alone.end_look();
  one.look("v", v), other.look("w", w);
  one.look_sums().merge(other.look_sums());
  one.end_look();
  EXPECT_EQ(one.scales(), alone.scales());
  EXPECT_EQ(alone.scales()[0], 1.0 / 5);
}

std::string error_of(const std::function<void()>& act) {
  try {
    act();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(Aggregator, RefusesWhatItCannotTakeNamingTheSilo) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const auto has = [](const std::string& text, const std::string& part) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
  };
  has(error_of([&] { once({}, {{1, 2}, {1, nan}}); }), "silo b: its change of w is not finite");
  has(error_of([&] { once({}, {{1, 2}, {1}}); }), "silo b: its change of w has 1 values");
  has(error_of([&] {
        once({.type = "krum"}, {{1, 2}, {1, nan}, {1, 1}, {1, 1}, {1, 1}});
      }),
      "silo b");
  has(error_of([] { once({}, {{1}, {1}}, {{.silo = "a"}, {.silo = "a"}}); }), "answered twice");
  has(error_of([] { once({}, {{1}}, {{.silo = "a", .examples = -1}}); }), "silo a reports");
  has(error_of([] { once({.type = "krum"}, {{1}, {1}, {1}, {1}}); }), "needs 5");
  has(error_of([] { once({.type = "bulyan"}, {{1}, {1}, {1}, {1}, {1}, {1}}); }), "needs 7");
  has(error_of([] { once({.type = "fednova"}, {{1}}); }), "has made no step");
  has(error_of([] { once({}, {{1.5e308}}, {}); }), "no error");
  has(error_of([] { once({.learning_rate = 10}, {{1.5e308}}); }), "w is not finite");
}

}  // namespace
}  // namespace moesaic::aggregate
