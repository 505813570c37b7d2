#include "engine/round_sum.h"

#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <cmath>

#include "core/error.h"
#include "engine/secure_values.h"
#include "support/parameters.h"

namespace moesaic {
namespace {

at::Tensor values(std::initializer_list<double> list) {
  return at::tensor(at::ArrayRef<double>(list), at::kDouble);
}

/// Three silos, a weight of three values, and three experts of two: the last one is used by nobody.
/// A round has at most 2 x 4 x 5 = 40 tokens.
struct ThreeSilos {
  static constexpr double kLevels = 2147483647 / 3;
  RankContext context = RankContext::single();
  Recipe recipe;
  RoundModel model;
  std::vector<HeldChange> changes = std::vector<HeldChange>(3);
  std::vector<SumTerm> terms;

  explicit ThreeSilos(aggregate::AggregatorOptions rule) {
    recipe.data.sequence_length = 5;
    recipe.train.global_batch_size = 4;
    recipe.optimizer = {.type = "sgd", .learning_rate = 0.5, .momentum = 0};
    recipe.federated.emplace().local_steps = 2;
    recipe.federated->aggregator = std::move(rule);
    recipe.federated->secure_aggregation = SecureAggregationOptions{2};
    std::vector<Parameter> parameters = {test::parameter_of("w", values({1, 2, 3}))};
    parameters.push_back(test::expert_of("layers.0.mlp.experts.up_proj.weight",
                                         values({0, 0, 0, 0, 0, 0}).view({3, 2}), 0, 3));
    const ParameterSet set(std::move(parameters));
    model.take(set, [](const Parameter&) { return RoundModel::Kind::kShared; });
    for (int k = 0; k < 3; ++k) {
      changes[static_cast<std::size_t>(k)].tensors = {
          values({0.1, -0.02, 0.003}).mul(k + 1),
          values({0.3, 0.2, -0.1, 0.25, 0.5, 0.5}).view({3, 2}).div(k + 1)};
      const std::map<std::string, std::vector<double>> tokens = {
          {"layers.0.mlp", {3.0 * k, 40.0 - 7 * k, 0.0}}};
      terms.push_back({{.silo = format("s{}", k),
                        .examples = 2.0 + 3 * k,
                        .tokens = 10,
                        .steps = 1.0 + 0.5 * k,
                        .rate_sum = 0.25 * (k + 1),
                        .routed_tokens = tokens}});
    }
  }
  /// A value as the ring counts it.
  static double level(double value) { return std::nearbyint(value * kLevels) / kLevels; }
  double change(int silo, std::size_t place, std::int64_t i) const {
    return changes[static_cast<std::size_t>(silo)].tensors[place].view(-1)[i].item<double>();
  }
  double tokens(int silo, std::size_t expert) const {
    return terms[static_cast<std::size_t>(silo)].report.routed_tokens.at("layers.0.mlp")[expert];
  }
  double before(std::size_t place, std::int64_t i) const {
    return place == 0 ? static_cast<double>(i) + 1 : 0;
  }
  /// The round; its model is in `model`.
  void apply(aggregate::Aggregator& aggregator) {
    aggregator.begin_sum(3);
    Exchange(context, changes, sum_in_one_job(recipe, model, terms)).apply(aggregator, model);
  }
  void apply() {
    aggregate::Aggregator aggregator(recipe.federated->aggregator, 4);
    apply(aggregator);
  }
  double after(std::size_t place, std::int64_t i) const {
    return model.shared()[place].tensor.view(-1)[i].item<double>();
  }
};

TEST(RoundSum, IsTheMeanOfTheRoundedChangesByTheirWeights) {
  ThreeSilos silos({});
  silos.terms[2].scale = 0.5;
  silos.apply();
  for (std::size_t place = 0; place < 2; ++place) {
    for (std::int64_t i = 0; i < (place == 0 ? 3 : 6); ++i) {
      double sum = 0, parts = 0;
      for (int k = 0; k < 3; ++k) {
        const double part = (2.0 + 3 * k) / 8;  // of 2 x 4 examples
        sum += silos.level(std::min(1.0, part) * (k == 2 ? 0.5 : 1) * silos.change(k, place, i));
        parts += std::min(1.0, part);
      }
      EXPECT_NEAR(silos.after(place, i), silos.before(place, i) + sum / parts, 1e-14) << i;
    }
  }
}

TEST(RoundSum, WeighsExpertsByTokensThatAreSummedToo) {
  for (const char* type : {"fedavg", "fednova"}) {
    ThreeSilos silos({.type = type, .weights = "uniform", .experts = "routed_tokens"});
    const bool by_length = std::string(type) == "fednova";
    silos.apply();
    for (std::int64_t i = 0; i < 6; ++i) {
      const auto expert = static_cast<std::size_t>(i / 2);
      double sum = 0, parts = 0, lengths = 0;
      for (int k = 0; k < 3; ++k) {
        const double part = silos.tokens(k, expert) / 40, steps = 1 + 0.5 * k;
        sum += silos.level(part * silos.change(k, 1, i) / (by_length ? steps : 1));
        parts += part;
        lengths += part * steps;
      }
      const double mean = parts > 0 ? sum / parts * (by_length ? lengths / parts : 1) : 0;
      EXPECT_NEAR(silos.after(1, i), mean, by_length ? 1e-8 : 1e-14) << type << i;
    }
    EXPECT_EQ(silos.after(1, 5), 0) << "nobody has used it";
    EXPECT_GT(std::abs(silos.after(0, 0) - 1), 0.1) << "the rest has the weights of the silos";
  }
}

TEST(RoundSum, CountsOfTokensAreExact) {
  const ThreeSilos silos({.experts = "routed_tokens"});
  RoundSum sum(silos.recipe, silos.model, 3);
  RoundSum::Counts total;
  for (const SumTerm& term : silos.terms) sum.add(sum.counts(term.report), total);
  const auto most = static_cast<std::uint64_t>(ThreeSilos::kLevels) / 40;  // levels of a token
  EXPECT_EQ(total.at("layers.0.mlp"), (std::vector<std::uint64_t>{9 * most, 99 * most, 0}));
}

// c += 1 / N x the sum over the silos of -c - change / rate_sum, of N = 4 silos; twice, so that c
// is not 0.
TEST(RoundSum, SumsTheControlsOfScaffoldBesideTheChanges) {
  ThreeSilos silos({.type = "scaffold", .weights = "examples"});
  aggregate::Aggregator aggregator(silos.recipe.federated->aggregator, 4);
  std::vector<double> control(3, 0.0);
  for (int round = 0; round < 2; ++round) {
    silos.apply(aggregator);
    for (std::int64_t i = 0; i < 3; ++i) {
      double& c = control[static_cast<std::size_t>(i)];
      double moved = 0;
      for (int k = 0; k < 3; ++k) moved -= c + silos.change(k, 0, i) / (0.25 * (k + 1));
      c += moved / 4;
      EXPECT_NEAR(aggregator.state().at("control/w")[static_cast<std::size_t>(i)], c, 1e-8);
    }
  }
}

TEST(RoundSum, TakesNoCountsThatAreNoWords) {
  const ThreeSilos silos({.type = "fednova", .experts = "routed_tokens"});
  const RoundSum sum(silos.recipe, silos.model, 3);
  aggregate::SiloReport report = silos.terms[0].report;
  EXPECT_THROW(sum.counts_in(report), Error);  // three, and fednova has six
  const std::vector<double> words = {0, 1, 4294967295.0, 3, 4, 5};
  report.routed_tokens["layers.0.mlp"] = words;
  EXPECT_EQ(sum.counts_in(report).at("layers.0.mlp"),
            (std::vector<std::uint64_t>{0, 1, 4294967295, 3, 4, 5}));
  for (const double bad : {0.5, -1.0, 4294967296.0}) {
    report.routed_tokens["layers.0.mlp"][1] = bad;
    EXPECT_THROW(sum.counts_in(report), Error) << bad;
  }
  report.routed_tokens.clear();
  EXPECT_THROW(sum.counts_in(report), Error);
}

TEST(RoundSum, ScalesAChangeDownToTheBound) {
  Recipe recipe;
  recipe.federated.emplace().aggregator = {.type = "norm_bound", .bound = 2};
  EXPECT_EQ(scale_in_sum(recipe, 16), 0.5);
  EXPECT_EQ(scale_in_sum(recipe, 1), 1);
  EXPECT_EQ(scale_in_sum(recipe, 0), 1);
  recipe.federated->aggregator.type = "fedavg";
  EXPECT_EQ(scale_in_sum(recipe, 16), 1);
}

}  // namespace
}  // namespace moesaic
