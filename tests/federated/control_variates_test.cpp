// SCAFFOLD and FedProx on quadratics, against their papers' equations in plain numbers.
#include "federated/control_variates.h"

#include <ATen/ops/full.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "federated/proximal.h"
#include "support/parameters.h"

namespace moesaic {
namespace {

constexpr double kRate = 0.1;
constexpr int kSteps = 3;

at::Tensor number(double value) { return at::full({1}, value, at::kDouble); }

/// A silo whose loss is a / 2 (w - b)^2.
struct Quadratic {
  double a, b;
  double gradient(double w) const { return a * (w - b); }
};

/// One weight, and what is done to its gradient.
struct Silo {
  ParameterSet parameters;
  Gradients gradients;
  Silo() : parameters(one()) { gradients.entries.push_back({parameters[0], number(0)}); }
  static std::vector<Parameter> one() {
    std::vector<Parameter> set;
    set.push_back(test::parameter_of("w", number(0)));
    return set;
  }
  double weight() const { return parameters[0].tensor.item<double>(); }
  double corrected(GradientTransform& transform, double gradient) {
    gradients.entries[0].gradient.fill_(gradient);
    MetricsRow row;
    transform.apply(RankContext::single(), {}, gradients, row);
    return gradients.entries[0].gradient.item<double>();
  }
};

RoundModel::KindOf all_shared() {
  return [](const Parameter&) { return RoundModel::Kind::kShared; };
}

TEST(ControlVariates, MakeTheRoundsOfThePaper) {
  const Quadratic losses[] = {{1, 3}, {4, -1}};
  double x = 0.5, c = 0, controls[] = {0, 0};  // of the paper: server and silos

  Silo silos[2];
  RoundModel models[2];
  std::vector<ControlVariates> variates;
  for (int k = 0; k < 2; ++k) {
    silos[k].parameters[0].tensor.fill_(0.5);
    models[k].take(silos[k].parameters, all_shared());
    variates.emplace_back(silos[k].parameters, models[k]);
  }
  aggregate::Aggregator server({.type = "scaffold", .weights = "uniform"}, 2);
  for (int round = 0; round < 4; ++round) {
    double ends[2], moved = 0, new_controls[2];
    std::vector<std::vector<double>> changes;
    for (std::size_t k = 0; k < 2; ++k) {
      // Algorithm 1, lines 7 to 13, option II.
      ends[k] = x;
      for (int i = 0; i < kSteps; ++i)
        ends[k] -= kRate * (losses[k].gradient(ends[k]) - controls[k] + c);
      new_controls[k] = controls[k] - c + (x - ends[k]) / (kSteps * kRate);
      moved += (ends[k] - x) / 2;

      models[k].give(silos[k].parameters, true);
      variates[k].begin_round(server.state());
      for (int i = 0; i < kSteps; ++i) {
        const double g = silos[k].corrected(variates[k], losses[k].gradient(silos[k].weight()));
        silos[k].parameters[0].tensor.sub_(kRate * g);
      }
      const auto change = models[k].change(silos[k].parameters);
      changes.push_back({change[0].item<double>()});
      variates[k].end_round(change, kSteps * kRate);
      EXPECT_NEAR(variates[k].state()[0].tensor.item<double>(), new_controls[k], 1e-12);
    }
    for (std::size_t k = 0; k < 2; ++k) c += (new_controls[k] - controls[k]) / 2;
    for (std::size_t k = 0; k < 2; ++k) controls[k] = new_controls[k];
    x += moved;

    server.begin_round({{.silo = "a", .steps = kSteps, .rate_sum = kSteps * kRate},
                        {.silo = "b", .steps = kSteps, .rate_sum = kSteps * kRate}});
    const std::span<const double> rows[] = {changes[0], changes[1]};
    double out = 0;
    server.step("w", 0, rows, {&out, 1});
    for (RoundModel& model : models) at::Tensor(model.shared()[0].tensor).add_(out);
    EXPECT_NEAR(models[0].shared()[0].tensor.item<double>(), x, 1e-12) << round;
    EXPECT_NEAR(server.state().at("control/w").at(0), c, 1e-12) << round;
  }
}

// Experts 2 and 3 of four are here; the server has them whole, or each by its name.
TEST(ControlVariates, FindTheServersControlOfEachExpert) {
  const std::string name = "layers.0.mlp.experts.up_proj.weight";
  std::vector<Parameter> set;
  set.push_back(test::expert_of(name, at::full({2, 3}, 0.0, at::kDouble), 2, 4));
  const ParameterSet parameters(std::move(set));
  RoundModel model;
  model.take(parameters, all_shared());
  aggregate::ServerState whole, by_expert;
  for (int expert = 0; expert < 4; ++expert) {
    std::vector<double> values;
    for (int i = 0; i < 3; ++i) values.push_back(10 * expert + i);
    auto& all = whole["control/" + name];
    all.insert(all.end(), values.begin(), values.end());
    by_expert[format("control/layers.0.mlp.experts.{}.up_proj.weight", expert)] = values;
  }
  for (const aggregate::ServerState& server : {whole, by_expert}) {
    ControlVariates variates(parameters, model);
    variates.begin_round(server);
    Gradients gradients{{{parameters[0], at::full({2, 3}, 1.0, at::kDouble)}}};
    MetricsRow row;
    variates.apply(RankContext::single(), {}, gradients, row);
    for (int e = 0; e < 2; ++e)
      for (int i = 0; i < 3; ++i)
        EXPECT_EQ(gradients.entries[0].gradient[e][i].item<double>(), 1 + 10 * (e + 2) + i);
  }
}

TEST(ControlVariates, RefuseALearningRateOfItsOwn) {
  std::vector<Parameter> set;
  set.push_back(test::parameter_of("w", number(0)));
  set[0].learning_rate_ratio = 16;
  const ParameterSet parameters(std::move(set));
  RoundModel model;
  model.take(parameters, all_shared());
  EXPECT_THROW(ControlVariates(parameters, model), Error);
}

TEST(Proximal, AddsThePullToTheRoundsModel) {
  Silo silo;
  RoundModel model;
  silo.parameters[0].tensor.fill_(2);
  model.take(silo.parameters, all_shared());
  silo.parameters[0].tensor.fill_(5);
  silo.gradients.scale = 0.5;
  Proximal proximal(model, 0.3);
  const double stored = silo.corrected(proximal, 7);
  EXPECT_NEAR(stored * silo.gradients.scale, 7 * 0.5 + 0.3 * (5 - 2), 1e-12);
}

}  // namespace
}  // namespace moesaic
