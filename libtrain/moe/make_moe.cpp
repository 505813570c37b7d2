#include "moe/make_moe.h"

#include <ATen/ops/zeros.h>

#include <utility>

#include "arch/cost.h"
#include "moe/feedback.h"
#include "moe/gate_probe.h"
#include "moe/placement.h"
#include "moe/step_routing.h"

namespace moesaic {
namespace {

at::TensorOptions master_options(const Recipe& recipe, const RankContext& context) {
  return at::TensorOptions(Precision::named(recipe.train.precision).master).device(context.device);
}

MoeTraining make_training(const Recipe& recipe, const arch::Options& arch,
                          const RankContext& context) {
  const MoeOptions& moe = recipe.moe;
  MoeTraining training;
  training.seed = recipe.seed;
  training.jitter_noise = moe.router_jitter_noise;
  training.gate_gradient = gate_gradient_named(moe.gate_gradient);
  training.sparse_mixer_eps = moe.sparse_mixer_eps;
  training.capacity = {.factor = moe.capacity_factor,
                       .by_position = moe.drop == "position",
                       .pad = moe.pad_to_capacity};
  if (training.gate_gradient == GateGradient::kDefaultMoe) {
    training.expert_average_LED = at::zeros(
        {arch.num_routers(), arch.num_experts, arch.hidden_size}, master_options(recipe, context));
  }
  return training;
}

std::vector<at::Tensor> correction_biases(const ParameterSet& parameters) {
  std::vector<at::Tensor> biases;
  for (const Parameter& parameter : parameters) {
    if (parameter.correction_bias) biases.push_back(parameter.tensor);
  }
  return biases;
}

// What a token costs forward and backward, by the experts that it meets.
std::function<double(double)> flops_of(const Recipe& recipe, const arch::Options& arch,
                                       const ParameterSet& parameters) {
  const arch::ParameterTable table(parameters.begin(), parameters.end());
  return [arch, table, length = recipe.data.sequence_length](double active) {
    return arch::training_flops_per_token(arch, table, length, active);
  };
}

// What changes something after each step by its routing.
StepParts make_feedback(const Recipe& recipe, const ParameterSet& parameters,
                        const MoeTraining& training, std::unique_ptr<ExpertPlacement> placement,
                        const RoutingStats& routing) {
  const MoeOptions& moe = recipe.moe;
  StepParts parts;
  if (placement) {
    placement->follow(routing);
    parts.push_back(std::move(placement));
  }
  if (moe.balance.moves_bias()) {
    parts.push_back(std::make_unique<BiasBalance>(routing, correction_biases(parameters),
                                                  moe.balance.update_speed));
  }
  if (training.expert_average_LED.defined()) {
    parts.push_back(std::make_unique<ExpertAverages>(training.expert_average_LED, training.slot_LE,
                                                     moe.expert_average_decay));
  }
  return parts;
}

}  // namespace

MoeRun make_moe(const Recipe& recipe, const arch::Options& arch, const ParameterSet& parameters,
                const RankContext& context) {
  MoeRun run;
  if (!arch.is_moe()) return run;
  run.training = make_training(recipe, arch, context);
  auto placement = std::make_unique<ExpertPlacement>(arch.num_routers(), arch.num_experts,
                                                     context.plan.expert, context.device);
  run.training.slot_LE = placement->slot_LE();
  // Experts that never move have a placement, too; only one that balances is a part.
  if (recipe.moe.placement != "balanced" || context.plan.expert == 1) placement.reset();

  auto routing = std::make_unique<StepRouting>(flops_of(recipe, arch, parameters));
  StepParts feedback =
      make_feedback(recipe, parameters, run.training, std::move(placement), routing->stats());
  if (!feedback.empty()) routing->sum_every_step();
  run.parts.push_back(std::move(routing));
  for (auto& part : feedback) run.parts.push_back(std::move(part));
  run.parts.push_back(std::make_unique<GateReport>(
      GateProbe::Options{.layers = arch.num_routers(),
                         .experts = arch.router_columns(),
                         .width = arch.hidden_size,
                         .dtype = Precision::named(recipe.train.precision).master,
                         .device = context.device}));
  return run;
}

}  // namespace moesaic
