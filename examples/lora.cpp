// Adapters from the library's parts, on attention and routed experts. A small model learns to count
// by 1 and by 2. Then it is frozen, and factors of rank 4 beside its weights learn to count by 3
// and by 4: their loss falls from above 4 nats per token (it is sure of what is wrong now) below 1.
// expected: loss from ([4-9]|1[0-9])\.[0-9]+ to 0\.[0-9]
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

/// Sequences of numbers that go up by `by` or by one more.
class Counting : public StepData {
 public:
  explicit Counting(std::int64_t by) : by_(by) {}
  StepSize size(std::int64_t /*step*/) const override {
    return {kSequences * kLength, kSequences * kLength, 1, kSequences};
  }
  Batch micro_batch(std::int64_t step, std::int64_t /*index*/) const override {
    BatchBuilder batch;
    for (std::int64_t s = 0; s < kSequences; ++s) {
      std::vector<std::int64_t> ids;
      for (std::int64_t i = 0; i <= kLength; ++i)
        ids.push_back((7 * step + 11 * s + i * (by_ + s % 2)) % kNumbers);
      batch.add(ids, {.example = s});
    }
    return batch.build();
  }

 private:
  std::int64_t by_;
};

/// Nothing is saved.
class NoSaver : public CheckpointSaver {
 public:
  bool failed() const override { return false; }

 private:
  void do_save(std::int64_t, CheckpointContent) override {}
  void do_before_change() override {}
  void do_finish() override {}
};

/// The losses of the first and the last step. `start` has the values that `parameters` begin with.
std::pair<double, double> train(const Recipe& recipe, std::int64_t by, const ParameterSet* start,
                                TrainingParts& parts) {
  const RankContext context = RankContext::single();
  const arch::Options arch = arch::require_options(recipe.model.config, "lora");
  parts.parameters = std::make_unique<ParameterSet>(training_table(recipe, arch),
                                                    ParameterSet::Options{.seed = recipe.seed});
  for (const Parameter& parameter : *parts.parameters) {
    const Parameter* begun = start ? start->find(parameter.name) : nullptr;
    if (begun) parameter.tensor.detach().copy_(begun->tensor.detach());
  }
  MoeRun moe = make_moe(recipe, arch, *parts.parameters, context);
  parts.around = std::move(moe.parts);
  const auto adapters = make_lora(recipe, arch, *parts.parameters);
  parts.model = std::make_unique<Transformer>(
      Transformer::Options{.arch = arch, .moe = moe.training, .adapters = adapters.get()},
      *parts.parameters, context);
  parts.train = std::make_unique<Counting>(by);
  parts.losses = make_losses(recipe, arch);
  auto sink = std::make_unique<AccumulatingSink>(*parts.parameters, context, MatmulKernel::kMkl);
  parts.gradients = sink->gradients();
  parts.sink = std::move(sink);
  parts.optimizer = make_optimizer(recipe.optimizer, *parts.parameters);
  parts.schedule.emplace(Schedule::Options{"cosine", recipe.optimizer.learning_rate, 10, kSteps});
  parts.not_finite = stop_when_not_finite();
  parts.saver = std::make_unique<NoSaver>();
  Trainer trainer(context, parts);
  const double first = trainer.step(1, {}).losses.at(0).second;
  for (std::int64_t step = 2; step < kSteps; ++step) trainer.step(step, {});
  return {first, trainer.step(kSteps, {}).losses.at(0).second};
}

}  // namespace

int main() {
  Recipe recipe;
  recipe.model.config = {
      {"model_type", "olmoe"},   {"vocab_size", kNumbers},   {"hidden_size", 32},
      {"intermediate_size", 32}, {"num_hidden_layers", 2},   {"num_attention_heads", 4},
      {"num_experts", 4},        {"num_experts_per_tok", 2}, {"initializer_range", 0.1}};
  recipe.optimizer.learning_rate = 3e-3;
  TrainingParts base, adapted;
  train(recipe, 1, nullptr, base);
  recipe.adapt = AdaptOptions{.lora = LoraOptions{.r = 4}};
  recipe.optimizer.learning_rate = 1e-2;
  const auto [first, last] = train(recipe, 3, base.parameters.get(), adapted);
  std::printf("loss from %.2f to %.3f\n", first, last);
}
