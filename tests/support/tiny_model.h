// A small model with everything in it, in float64, and its loss over one round.
#pragma once

#include <ATen/core/grad_mode.h>

#include <functional>
#include <memory>

#include "loss/balance.h"
#include "loss/cross_entropy.h"
#include "models/transformer.h"
#include "parallel/parameter_set.h"
#include "support/capture_sink.h"

namespace moesaic::test {

inline arch::Options tiny_olmoe(std::int64_t experts = 12) {
  const Json config = {
      {"model_type", "olmoe"},    {"vocab_size", 31},         {"hidden_size", 16},
      {"intermediate_size", 12},  {"num_hidden_layers", 2},   {"num_attention_heads", 4},
      {"num_key_value_heads", 2}, {"num_experts", experts},   {"num_experts_per_tok", 3},
      {"norm_topk_prob", true},   {"initializer_range", 0.3}, {"max_position_embeddings", 64}};
  return arch::require_options(config, "tiny");
}

inline ParameterSet parameters_of(const arch::ParameterTable& table, const RankContext& context,
                                  std::uint64_t seed = 7, at::ScalarType dtype = at::kDouble) {
  return ParameterSet(table, {.seed = seed,
                              .dtype = dtype,
                              .device = context.device,
                              .rank = context.rank(),
                              .plan = context.plan});
}
inline ParameterSet parameters_of(const arch::Options& arch, const RankContext& context,
                                  std::uint64_t seed = 7, at::ScalarType dtype = at::kDouble) {
  return parameters_of(arch::parameter_table(arch), context, seed, dtype);
}

/// A rewritten table, and what stands beside the linear maps of the model made from it.
struct TinyAdapters {
  arch::ParameterTable table;
  std::function<std::unique_ptr<AdapterFactory>(const ParameterSet&)> make;
};

/// The model with cross entropy, balance and z-loss; `batch` is this rank's micro-batch of the only
/// round.
struct TinyRun {
  const RankContext& context;
  Batch batch;
  StepSize size;
  ParameterSet parameters;
  std::unique_ptr<AdapterFactory> adapters;
  Transformer model;
  AccumulatingSink sink;
  Computation computation;

  TinyRun(const RankContext& rank_context, const arch::Options& arch, const Batch& mine,
          const StepSize& step, BlockPass pass = keep_activations,
          const TinyAdapters& beside = {})
      : context(rank_context),
        batch(mine),
        size(step),
        parameters(beside.make ? parameters_of(beside.table, rank_context)
                               : parameters_of(arch, rank_context)),
        adapters(beside.make ? beside.make(parameters) : nullptr),
        model({.arch = arch, .block_pass = pass, .adapters = adapters.get()}, parameters,
              rank_context),
        sink(parameters, rank_context, MatmulKernel::kMkl),
        computation{.precision = Precision::named("float64"), .world = rank_context.world} {}

  /// The loss of the step, the same on all ranks; gradients in the sink when asked for. Collective
  /// over world.
  double loss(bool with_gradients) {
    at::AutoGradMode mode(with_gradients);
    ForwardContext forward = computation.forward(batch);
    if (with_gradients) forward.sink = &sink;
    forward.training = with_gradients;
    sink.gradients().clear();
    sink.begin({});
    const ModelOutput output = model.forward(forward);
    const StepView view{forward, output, model.head(), size};
    at::Tensor total = CrossEntropy().evaluate(view).loss;
    if (model.arch().is_moe()) {
      total =
          total.add(SwitchBalance(0.5).evaluate(view).loss).add(RouterZ(0.1).evaluate(view).loss);
    }
    if (with_gradients) {
      total.backward();
      sink.end();
    }
    return context.world.all_reduce(total.item<double>(), ReduceOp::kSum, "tiny.loss");
  }

  /// The gradient of a trainable parameter after loss(true).
  at::Tensor gradient(const Parameter& parameter) const {
    for (const GradientEntry& entry : sink.gradients().entries) {
      if (entry.parameter.index == parameter.index) return entry.gradient;
    }
    return {};
  }
  const Parameter* find(const std::string& name) const { return parameters.find(name); }
};

}  // namespace moesaic::test
