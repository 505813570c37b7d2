// A small federation in float64 on one process or more, with its data in files.
#pragma once

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/fs.h"
#include "engine/federated_run.h"
#include "support/tiny_parts.h"

namespace moesaic::test {

/// Four documents of seven tokens for each silo, other ones in each: <folder>/silo-<k>.jsonl, and
/// all of them in <folder>/all.jsonl.
inline void write_silos(const std::string& folder, int silos) {
  std::string all;
  for (int silo = 0; silo < silos; ++silo) {
    std::string lines;
    for (int line = 0; line < 4; ++line) {
      std::vector<int> ids;
      for (int i = 0; i < 7; ++i) ids.push_back((5 * silo + 3 * line + i * (1 + line % 3)) % 29);
      lines += format("{{\"ids\": [{}]}}\n", join(ids, ", "));
    }
    write_file_atomic(format("{}/silo-{}.jsonl", folder, silo), lines);
    all += lines;
  }
  write_file_atomic(folder + "/all.jsonl", all);
}

/// Each silo's step is on all of its data, by plain SGD without clipping.
inline Recipe small_federation(const std::string& folder, int silos, std::int64_t ranks = 1) {
  Recipe recipe = small_recipe(folder + "/run");
  recipe.moe.balance.type = "none";
  recipe.data = {.sequence_length = 6, .packing = false};
  recipe.train.max_steps.reset();
  recipe.train.global_batch_size = 4;
  recipe.train.micro_batch_size = 2;
  recipe.train.clip_norm = 0;
  recipe.train.matmul = "mkl";
  recipe.optimizer = {.type = "sgd", .learning_rate = 0.1, .weight_decay = 0.01};
  recipe.schedule.type = "constant";
  recipe.federated = FederatedOptions{.rounds = 2, .local_steps = 1};
  for (int silo = 0; silo < silos; ++silo) {
    const std::string path = format("{}/silo-{}.jsonl", folder, silo);
    recipe.federated->silos.push_back({.name = format("s{}", silo),
                                       .ranks = ranks,
                                       .train = {{.path = path, .format = "tokens"}},
                                       .valid = {{.path = path, .format = "tokens"}}});
  }
  return recipe;
}

/// With factors of rank 2 beside its linear maps, those of experts too, joined as aggregator.lora
/// says. Two steps a round: with one A would not move yet.
inline void add_adapters(const std::string& lora, Recipe& recipe) {
  LoraOptions& options = recipe.adapt.emplace().lora.emplace();
  options.r = 2;
  options.lora_alpha = 6;
  recipe.optimizer.learning_rate = 0.5;
  recipe.federated->local_steps = 2;
  recipe.federated->aggregator.lora = lora;
}

/// Hides its silos as a whole, with noise that all can foretell.
inline void hide_silos(const std::string& where, Recipe& recipe) {
  recipe.federated->aggregator.weights = "uniform";
  recipe.federated->privacy = ClientPrivacyOptions{.clip_norm = 0.01,
                                                   .noise_multiplier = 2,
                                                   .where = where,
                                                   .ledger = recipe.run_dir + "/silo-ledger.json",
                                                   .noise_seed = 3};
}

/// All that a silo needs of a global model.
inline std::vector<RoundModel::Entry> entries_of(const RoundModel& model) {
  std::vector<RoundModel::Entry> entries = model.shared();
  entries.insert(entries.end(), model.base().begin(), model.base().end());
  return entries;
}

/// Keeps the rows that a run writes.
class KeptRows : public MetricsSink {
 public:
  explicit KeptRows(std::vector<MetricsRow>& rows) : rows_(rows) {}
  void write(const MetricsRow& row) override { rows_.push_back(row); }

 private:
  std::vector<MetricsRow>& rows_;
};

/// A run to its last round.
struct Federation {
  std::vector<MetricsRow> rows;
  std::unique_ptr<FederatedRun> run;

  Federation(const Recipe& recipe, const RankContext& world, const std::string& resume = "") {
    run = std::make_unique<FederatedRun>(recipe, world, FederatedRun::Options{.resume = resume});
    run->add_sink(std::make_unique<KeptRows>(rows));
    StopSignal stop;
    run->run(stop);
  }
  const std::vector<RoundModel::Entry>& shared() const { return run->model().shared(); }
};

/// The largest difference between two global models, relative to the larger values.
inline double difference(const Federation& a, const Federation& b) {
  double largest = 0;
  const auto of_a = entries_of(a.run->model()), of_b = entries_of(b.run->model());
  for (std::size_t i = 0; i < of_a.size(); ++i) {
    const at::Tensor &x = of_a[i].tensor, &y = of_b.at(i).tensor;
    const double scale = x.abs().max().item<double>();
    largest = std::max(largest, x.sub(y).abs().max().item<double>() / (scale + 1e-30));
  }
  return largest;
}

}  // namespace moesaic::test
