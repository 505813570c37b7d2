// Adapters from the library's parts, on attention and routed experts, on one process without MPI.
// A small model learns to count by 1 and by 2. Then it is frozen, and pairs of factors of rank 4
// beside its weights learn to count by 3, which it does badly at first: from above 2 nats per token
// the loss falls below 0.8, and less than a third of all values was trained.
//
//   build/release/bin/example_lora
//
// expected: [12][0-9] % trained: loss from [2-9]\.[0-9]+ to 0\.[0-7]
#include <cstdio>

#include "adapt/lora.h"
#include "config/training_table.h"
#include "data/batch_builder.h"
#include "engine/trainer.h"
#include "models/transformer.h"
#include "moe/make_moe.h"

namespace {

using namespace moesaic;

constexpr std::int64_t kNumbers = 64, kLength = 16, kSequences = 8, kSteps = 150;

/// Sequences of numbers that go up by `least` or by `most`.
class Counting : public StepData {
 public:
  Counting(std::int64_t least, std::int64_t most) : least_(least), more_(most - least) {}
  StepSize size(std::int64_t /*step*/) const override {
    return {kSequences * kLength, kSequences * kLength, 1, kSequences};
  }
  Batch micro_batch(std::int64_t step, std::int64_t /*index*/) const override {
    BatchBuilder batch;
    for (std::int64_t s = 0; s < kSequences; ++s) {
      std::vector<std::int64_t> ids;
      for (std::int64_t i = 0; i <= kLength; ++i)
        ids.push_back((7 * step + 11 * s + i * (least_ + s % 2 * more_)) % kNumbers);
      batch.add(ids, {.example = s});
    }
    return batch.build();
  }

 private:
  std::int64_t least_, more_;
};

/// Nothing is saved here.
class NoSaver : public CheckpointSaver {
 public:
  bool failed() const override { return false; }

 private:
  void do_save(std::int64_t, CheckpointContent) override {}
  void do_before_change() override {}
  void do_finish() override {}
};

TrainingParts parts_of(const Recipe& recipe, const RankContext& context) {
  const arch::Options arch = arch::require_options(recipe.model.config, "lora");
  TrainingParts parts;
  parts.parameters = std::make_unique<ParameterSet>(training_table(recipe, arch),
                                                    ParameterSet::Options{.seed = recipe.seed});
  const auto adapters = make_lora(recipe, arch, *parts.parameters);
  parts.model = std::make_unique<Transformer>(
      Transformer::Options{.arch = arch, .adapters = adapters.get()}, *parts.parameters, context);
  parts.losses = make_losses(recipe, arch);
  auto sink = std::make_unique<AccumulatingSink>(*parts.parameters, context, MatmulKernel::kMkl);
  parts.gradients = sink->gradients();
  parts.sink = std::move(sink);
  parts.optimizer = make_optimizer(recipe.optimizer, *parts.parameters);
  parts.schedule.emplace(Schedule::Options{"cosine", recipe.optimizer.learning_rate, 10, kSteps});
  parts.not_finite = stop_when_not_finite();
  parts.saver = std::make_unique<NoSaver>();
  return parts;
}

/// The losses of the first and of the last step.
std::pair<double, double> train(TrainingParts& parts, const RankContext& context,
                                const Counting& data) {
  parts.train = std::make_unique<Counting>(data);
  Trainer trainer(context, parts);
  const double first = trainer.step(1, {}).losses.at(0).second;
  for (std::int64_t step = 2; step < kSteps; ++step) trainer.step(step, {});
  return {first, trainer.step(kSteps, {}).losses.at(0).second};
}

}  // namespace

int main() {
  const RankContext context = RankContext::single();
  Recipe recipe;
  recipe.model.config = {{"model_type", "olmoe"},   {"vocab_size", kNumbers},
                         {"hidden_size", 32},       {"intermediate_size", 32},
                         {"num_hidden_layers", 2},  {"num_attention_heads", 4},
                         {"num_experts", 4},        {"num_experts_per_tok", 2},
                         {"initializer_range", 0.1}};
  recipe.optimizer.learning_rate = 3e-3;
  TrainingParts base = parts_of(recipe, context);
  train(base, context, Counting(1, 2));
  recipe.adapt.emplace().lora = LoraOptions{.r = 4};
  recipe.optimizer.learning_rate = 2e-2;
  TrainingParts adapted = parts_of(recipe, context);
  std::int64_t trained = 0;
  for (const Parameter& parameter : *adapted.parameters) {
    if (parameter.trainable) trained += parameter.local_numel();
    const Parameter* frozen = base.parameters->find(parameter.name);
    if (frozen) at::Tensor(parameter.tensor).detach().copy_(frozen->tensor.detach());
  }
  const auto [before, after] = train(adapted, context, Counting(3, 3));
  std::printf("%.0f %% trained: loss from %.2f to %.3f\n",
              100.0 * static_cast<double>(trained) / static_cast<double>(adapted.parameters->global_count()),
              before, after);
}
