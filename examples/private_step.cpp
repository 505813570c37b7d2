// A private step from the library's parts, on one process without MPI. Eight sequences are eight
// units; their gradients, through a router and four experts, are clipped to a norm of 0.1 each and
// summed. Whichever unit is taken out, the sum changes by 0.1 and no more: that is what noise then
// hides, and what the accountant counts.
//
// expected: one unit changes the sum by 0\.1000 at most, 1000 noisy steps cost epsilon 1\.8[23]
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "accounting/pld.h"
#include "data/batch_builder.h"
#include "engine/trainer.h"
#include "models/transformer.h"
#include "moe/make_moe.h"
#include "privacy/private_steps.h"

namespace {

using namespace moesaic;
constexpr std::int64_t kUnits = 8, kNumbers = 64, kLength = 12;
/// All units in one step, or all but one.
struct WithoutOne : StepData {
  explicit WithoutOne(std::int64_t unit) : out(unit) {}
  StepSize size(std::int64_t /*step*/) const override { return {.micro_batches = 1}; }
  Batch micro_batch(std::int64_t /*step*/, std::int64_t /*index*/) const override {
    BatchBuilder batch;
    for (std::int64_t unit = 0, example = 0; unit < kUnits; ++unit) {
      if (unit == out) continue;
      std::vector<std::int64_t> ids;
      for (std::int64_t i = 0; i <= kLength; ++i) ids.push_back((9 * unit + i * i) % kNumbers);
      batch.add(ids, {.example = example++});
    }
    return batch.build();
  }
  std::int64_t out;
};

Recipe recipe() {
  Recipe recipe;
  recipe.model.config = {
      {"model_type", "olmoe"},   {"vocab_size", kNumbers},   {"hidden_size", 32},
      {"intermediate_size", 32}, {"num_hidden_layers", 2},   {"num_attention_heads", 4},
      {"num_experts", 4},        {"num_experts_per_tok", 2}, {"initializer_range", 0.1}};
  recipe.moe.balance.type = "sequence";
  recipe.optimizer = {.type = "sgd", .learning_rate = kUnits, .weight_decay = 0};
  recipe.privacy = PrivacyOptions{.clip_norm = 0.1, .expected_batch_size = kUnits};
  return recipe;
}

/// The weights less the sum of the clipped gradients of a step without unit `out`; no noise.
std::vector<at::Tensor> weights_after(std::int64_t out) {
  const RankContext context = RankContext::single();
  const Recipe options = recipe();
  const arch::Options arch = arch::require_options(options.model.config, "private_step");
  TrainingParts parts;
  parts.train = std::make_unique<WithoutOne>(out);
  parts.parameters = std::make_unique<ParameterSet>(arch::parameter_table(arch),
                                                    ParameterSet::Options{.seed = options.seed});
  MoeRun moe = make_moe(options, arch, *parts.parameters, context);
  parts.around = std::move(moe.parts);
  parts.model = std::make_unique<Transformer>(
      Transformer::Options{.arch = arch, .moe = moe.training}, *parts.parameters, context);
  parts.losses = make_losses(options, arch);
  auto sum = std::make_unique<AccumulatingSink>(*parts.parameters, context, MatmulKernel::kMkl);
  parts.gradients = sum->gradients();
  auto clipping = std::make_unique<ClippingSink>(
      *parts.parameters, context,
      ClippingSink::Options{.divisor = kUnits, .rule = ClippingRule::named("flat", 0.1)},
      std::move(sum));
  parts.around.push_back(std::make_unique<PrivateSteps>(
      PrivateSteps::Options{.privacy = *options.privacy}, context.world, *clipping));
  parts.sink = std::move(clipping);
  parts.optimizer = make_optimizer(options.optimizer, *parts.parameters);
  parts.schedule.emplace(Schedule::Options{"constant", kUnits, 0, 1});
  parts.not_finite = stop_when_not_finite();
  parts.saver = make_sync_saver(context, CheckpointStore({.folder = ""}));
  Trainer(context, parts).step(1, {});
  std::vector<at::Tensor> weights;
  for (const Parameter& parameter : *parts.parameters) weights.push_back(parameter.tensor);
  return weights;
}

}  // namespace

int main() {
  const std::vector<at::Tensor> all = weights_after(-1);
  double most = 0;
  for (std::int64_t unit = 0; unit < kUnits; ++unit) {
    const std::vector<at::Tensor> less = weights_after(unit);
    double square = 0;
    for (std::size_t i = 0; i < all.size(); ++i)
      square += all[i].sub(less[i]).square().sum().item<double>();
    most = std::max(most, std::sqrt(square));
  }
  const double epsilon = accounting::pld_epsilon(
      {{.noise_multiplier = 1, .sampling_rate = 0.01, .steps = 1000}}, 1e-5);
  std::printf("one unit changes the sum by %.4f at most, 1000 noisy steps cost epsilon %.2f\n",
              most, epsilon);
}
