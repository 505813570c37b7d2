// A small model with everything in it, in float64, and its loss over one round.
#pragma once

#include <ATen/core/grad_mode.h>

#include "loss/balance.h"
#include "loss/cross_entropy.h"
#include "models/transformer.h"
#include "parallel/gradient_buckets.h"
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

/// The model with cross entropy, balance and z-loss; `batch` is this rank's micro-batch of the only
/// round.
struct TinyRun {
  const RankContext& context;
  Batch batch;
  StepSize size;
  Transformer model;
  GradientBuckets buckets;
  AccumulatingSink sink;
  WeightCopies weights;

  TinyRun(const RankContext& rank_context, const arch::Options& arch, const Batch& mine,
          const StepSize& step, BlockPass pass = keep_activations)
      : context(rank_context),
        batch(mine),
        size(step),
        model({.arch = arch, .seed = 7, .dtype = at::kDouble, .block_pass = pass}, rank_context),
        buckets(model.parameters(), rank_context, {}),
        sink(model.parameters(), buckets, MatmulKernel::kMkl) {}

  /// The loss of the step, the same on all ranks; gradients in the buckets when asked for.
  /// Collective over world.
  double loss(bool with_gradients) {
    at::AutoGradMode mode(with_gradients);
    const ForwardContext forward{batch,   Precision::named("float64"),      MatmulKernel::kMkl,
                                 weights, with_gradients ? &sink : nullptr, context.world};
    buckets.zero();
    buckets.begin(true);
    const auto output = model.forward(forward);
    const StepView view{forward, output.hidden_TD, model.head(), output.routers, size};
    at::Tensor total = CrossEntropy().evaluate(view).loss;
    if (model.arch().is_moe()) {
      total =
          total.add(SwitchBalance(0.5).evaluate(view).loss).add(RouterZ(0.1).evaluate(view).loss);
    }
    if (with_gradients) {
      total.backward();
      buckets.finish();
    }
    return context.world.all_reduce(total.item<double>(), ReduceOp::kSum, "tiny.loss");
  }
};

}  // namespace moesaic::test
