// The parts of a small run on one process, without files: what a Trainer or a TrainingRun is given.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "data/batch_builder.h"
#include "engine/parts.h"
#include "engine/training_run.h"
#include "models/transformer.h"
#include "moe/make_moe.h"
#include "optim/clip.h"

namespace moesaic::test {

/// Eight sequences of six tokens a step, in micro-batches of `micro_batch_size`.
class SmallData : public StepData {
 public:
  explicit SmallData(std::int64_t micro_batch_size) : micro_batch_size_(micro_batch_size) {}
  StepSize size(std::int64_t) const override { return {48, 48, 8 / micro_batch_size_, 8}; }
  Batch micro_batch(std::int64_t step, std::int64_t index) const override {
    BatchBuilder batch;
    for (std::int64_t s = index * micro_batch_size_; s < (index + 1) * micro_batch_size_; ++s) {
      std::vector<std::int64_t> ids;
      for (std::int64_t i = 0; i < 7; ++i) ids.push_back((3 * step + 5 * s + i * (1 + s % 3)) % 29);
      batch.add(ids, {.example = s});
    }
    return batch.build();
  }

 private:
  std::int64_t micro_batch_size_;
};

/// Keeps the rows that a run writes.
class Rows : public MetricsSink {
 public:
  explicit Rows(std::vector<MetricsRow>& rows) : rows_(rows) {}
  void write(const MetricsRow& row) override { rows_.push_back(row); }

 private:
  std::vector<MetricsRow>& rows_;
};

/// In float64, with experts that a bias balances.
inline Recipe small_recipe(const std::string& run_dir) {
  Recipe recipe;
  recipe.name = "small";
  recipe.run_dir = run_dir;
  recipe.model.config = {{"model_type", "deepseek_v3"},
                         {"vocab_size", 29},
                         {"hidden_size", 16},
                         {"intermediate_size", 12},
                         {"moe_intermediate_size", 8},
                         {"num_hidden_layers", 2},
                         {"num_attention_heads", 2},
                         {"num_key_value_heads", 2},
                         {"n_routed_experts", 4},
                         {"num_experts_per_tok", 2},
                         {"n_shared_experts", 1},
                         {"first_k_dense_replace", 1},
                         {"n_group", 1},
                         {"topk_group", 1},
                         {"q_lora_rank", 8},
                         {"kv_lora_rank", 8},
                         {"qk_nope_head_dim", 4},
                         {"qk_rope_head_dim", 4},
                         {"v_head_dim", 8},
                         {"initializer_range", 0.2},
                         {"max_position_embeddings", 64}};
  recipe.data.train = {{.path = "/tokens.jsonl", .format = "tokens"}};
  recipe.train.precision = "float64";
  recipe.train.max_steps = 6;
  recipe.moe.balance.type = "bias+sequence";
  recipe.schedule.warmup_steps = 0;
  recipe.optimizer.learning_rate = 1e-2;
  return recipe;
}

inline TrainingParts small_parts(const Recipe& recipe, const RankContext& context,
                                 std::int64_t micro_batch_size = 4) {
  const arch::Options arch = arch::require_options(recipe.model.config, "small");
  const Precision precision = Precision::named(recipe.train.precision);
  TrainingParts parts;
  parts.computation.precision = precision;
  parts.train = std::make_unique<SmallData>(micro_batch_size);
  parts.max_steps = *recipe.train.max_steps;
  parts.parameters = std::make_unique<ParameterSet>(
      arch::parameter_table(arch),
      ParameterSet::Options{.seed = recipe.seed, .dtype = precision.master});
  MoeRun moe = make_moe(recipe, arch, *parts.parameters, context);
  parts.around = std::move(moe.parts);
  parts.model = std::make_unique<Transformer>(
      Transformer::Options{.arch = arch, .moe = moe.training}, *parts.parameters, context);
  parts.config = arch::to_config(arch);
  parts.losses = make_losses(recipe, arch);
  auto sink = std::make_unique<AccumulatingSink>(*parts.parameters, context, MatmulKernel::kMkl);
  parts.gradients = sink->gradients();
  parts.sink = std::move(sink);
  parts.transforms.push_back(std::make_unique<ClipByGlobalNorm>(1.0));
  parts.optimizer = make_optimizer(recipe.optimizer, *parts.parameters);
  parts.schedule.emplace(Schedule::Options{"constant", recipe.optimizer.learning_rate, 0, 100});
  parts.not_finite = stop_when_not_finite();
  parts.store.emplace(CheckpointStore::Options{recipe.run_dir + "/checkpoints", 2});
  parts.saver = make_sync_saver(context, *parts.store);
  return parts;
}

/// Copies of all weights.
inline std::vector<at::Tensor> weights_of(const TrainingParts& parts) {
  std::vector<at::Tensor> weights;
  for (const Parameter& parameter : *parts.parameters) weights.push_back(parameter.tensor.clone());
  return weights;
}

}  // namespace moesaic::test
