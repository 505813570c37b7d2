// Two silos train one softmax regression that tells four clouds of points apart, two in each silo.
// Alone a silo finds its half of all points; thirty rounds of federated averaging find nearly all.
// expected: alone 0\.5[0-9] and 0\.5[0-9], federated (0\.9[0-9]|1\.00)
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros_like.h>

#include <cstdio>
#include <random>

#include "engine/silo_training.h"
#include "federated/exchange.h"
#include "loss/validation.h"
#include "models/make_model.h"
namespace {
using namespace moesaic;
constexpr std::int64_t kRows = 64, kRounds = 30;
struct Clouds : StepData, EvalData {
  Clouds(std::int64_t first, std::int64_t clouds) : first_(first), clouds_(clouds) {}
  StepSize size(std::int64_t /*step*/) const override { return {kRows, kRows, 1, kRows}; }
  Batch micro_batch(std::int64_t step, std::int64_t /*index*/) const override {
    std::mt19937_64 random(static_cast<std::uint64_t>(4 * step + first_));
    std::normal_distribution<float> noise(0, 0.3F);
    Batch batch{.example_id_T = at::arange(kRows), .features_TF = at::empty({kRows, 2})};
    batch.targets_T = batch.example_id_T.remainder(clouds_).add(first_);
    batch.positions_T = at::zeros_like(batch.example_id_T);
    batch.place_T = batch.example_id_T.mul(std::int64_t{1} << kPlaceBits);
    float* point = batch.features_TF.mutable_data_ptr<float>();
    for (std::int64_t row = 0; row < kRows; ++row, point += 2) {
      for (std::int64_t i = 0; i < 2; ++i)
        point[i] = ((first_ + row % clouds_) >> i) % 2 == 0 ? noise(random) - 1 : noise(random) + 1;
      batch.attention_offsets.push_back(row + 1);
    }
    batch.document_offsets = batch.attention_offsets;
    return batch;
  }
  std::int64_t count() const override { return 16; }
  Batch micro_batch(std::int64_t index) const override { return micro_batch(100000 + index, 0); }
  std::int64_t target_tokens() const override { return count() * kRows; }
  std::int64_t sequences() const override { return count() * kRows; }
  bool has_labels() const override { return true; }
  std::int64_t first_, clouds_;
};
TrainingParts parts_of(const Recipe& recipe, const RankContext& context, std::size_t silo) {
  const arch::Options arch = arch::require_options(recipe.model.config, "example");
  TrainingParts parts;
  parts.train = std::make_unique<Clouds>(2 * static_cast<std::int64_t>(silo), 2);
  parts.max_steps = recipe.federated->local_steps.value();
  const ParameterSet::Options options{.seed = recipe.seed};
  parts.parameters = std::make_unique<ParameterSet>(arch::parameter_table(arch), options);
  parts.model = make_model({.arch = arch}, *parts.parameters, context);
  parts.losses = make_losses(recipe, arch);
  auto sink = std::make_unique<AccumulatingSink>(*parts.parameters, context, MatmulKernel::kMkl);
  parts.gradients = sink->gradients();
  parts.sink = std::move(sink);
  parts.optimizer = make_optimizer(recipe.optimizer, *parts.parameters);
  parts.not_finite = stop_when_not_finite();
  parts.saver = make_sync_saver(context, CheckpointStore({"unused", 1}));
  return parts;
}
/// The share of all points that these silos find together.
double found_by(const std::vector<std::size_t>& silos) {
  const RankContext context = RankContext::single();
  Recipe recipe;
  recipe.model.config = {{"model_type", "mlp"}, {"input_size", 2}, {"num_labels", 4}};
  recipe.optimizer = {.type = "sgd", .learning_rate = 0.5, .weight_decay = 0};
  recipe.schedule = {.type = "constant", .warmup_steps = 0};
  recipe.federated = FederatedOptions{{{.name = "a"}, {.name = "b"}}, {}, kRounds, 2};
  RoundModel model;
  std::vector<SiloTraining> trainings;
  for (const std::size_t silo : silos) {
    TrainingParts parts = parts_of(recipe, context, silo);
    if (model.is_empty())
      model.take(*parts.parameters, [](const Parameter&) { return RoundModel::Kind::kShared; });
    trainings.emplace_back(recipe, silo, context, model, std::move(parts));
  }
  aggregate::Aggregator server(recipe.federated->aggregator, silos.size());
  StopSignal stop;
  for (std::int64_t round = 1; round <= kRounds; ++round) {
    std::vector<aggregate::SiloReport> reports;
    std::vector<HeldChange> changes;
    for (SiloTraining& training : trainings) {
      const SiloTraining::Round trained = training.train(round, server.state(), stop);
      reports.push_back(trained.report);
      changes.push_back({0, trained.change});
    }
    server.begin_round(reports);
    Exchange(context, changes).apply(server, model);
  }
  TrainingParts& parts = trainings[0].parts();
  model.give(*parts.parameters, true);
  parts.computation.weights.invalidate();
  return *validation_of(context, *parts.model, parts.computation, Clouds(0, 4)).accuracy;
}

}  // namespace
int main() {
  const double a = found_by({0}), b = found_by({1});
  std::printf("alone %.2f and %.2f, federated %.2f\n", a, b, found_by({0, 1}));
}
