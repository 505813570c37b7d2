#include "models/transformer.h"

#include "comm/trace_span.h"
#include "core/format.h"
#include "nn/norm.h"
#include "nn/ops.h"

namespace moesaic {

Transformer::Transformer(const Options& options, const RankContext& context)
    : options_(options),
      factory_(options.arch, {.seed = options.seed,
                              .dtype = options.dtype,
                              .dtypes = options.dtypes,
                              .initialise = options.initialise,
                              .device = context.device,
                              .rank = context.rank(),
                              .plan = context.plan}),
      embedding_(factory_.make("model.embed_tokens.weight")),
      norm_(factory_.make("model.norm.weight")),
      head_(factory_.make_if_present("lm_head.weight")) {
  int router = 0;
  for (int layer = 0; layer < options.arch.num_hidden_layers; ++layer) {
    blocks_.push_back(
        std::make_unique<Block>(options_.arch, layer, router, options_.moe, factory_, context));
    router += options.arch.is_moe_layer(layer) ? 1 : 0;
  }
  for (int depth = 0; depth < options.arch.num_nextn_predict_layers; ++depth) {
    const int layer = static_cast<int>(options.arch.num_hidden_layers) + depth;
    predictions_.push_back(std::make_unique<PredictionLayer>(options_.arch, layer, router,
                                                             options_.moe, factory_, context));
    router += options.arch.is_moe_layer(layer) ? 1 : 0;
  }
  factory_.check_complete();
  parameters_.add(embedding_);
  for (auto& block : blocks_) block->collect(parameters_);
  parameters_.add(norm_);
  if (head_) parameters_.add(*head_);
  for (auto& prediction : predictions_) prediction->collect(parameters_);
}

RotaryTable Transformer::rotary(const ForwardContext& context) const {
  const arch::Options& arch = options_.arch;
  return RotaryTable::make(context.batch, arch.rope, arch.max_position_embeddings,
                           arch.rotary_dim(), context.precision.master);
}

Transformer::Output Transformer::forward(const ForwardContext& context) const {
  const Span span("forward");
  Output output;
  const RotaryTable rotary = this->rotary(context);
  at::Tensor x_TD = embedding(context, embedding_, context.batch.ids_T);
  for (std::size_t layer = 0; layer < blocks_.size(); ++layer) {
    const Span layer_span(span_name::kLayer, static_cast<std::int64_t>(layer));
    x_TD = options_.block_pass(*blocks_[layer], context, x_TD, rotary, output.routers);
  }
  output.hidden_TD =
      rms_norm(context, norm_, x_TD, options_.arch.rms_norm_eps, context.precision.compute);
  if (context.training()) predict_ahead(context, rotary, output);
  return output;
}

at::Tensor Transformer::predict(const ForwardContext& context, const at::Tensor& hidden_TD) const {
  std::vector<RouterRecord> records;
  return predictions_.at(0)
      ->forward(context, hidden_TD, embedding(context, embedding_, context.batch.ids_T),
                rotary(context), options_.block_pass, records)
      .hidden_TD;
}

void Transformer::predict_ahead(const ForwardContext& context, const RotaryTable& rotary,
                                Output& output) const {
  at::Tensor before_TD = output.hidden_TD;
  // The loss hands over the head's gradients one after the other: until the last, more are to come.
  for (std::size_t depth = 0; depth < predictions_.size(); ++depth) context.expect(head());
  for (std::size_t depth = 0; depth < predictions_.size(); ++depth) {
    const Span span("predict_ahead", static_cast<std::int64_t>(depth));
    const at::Tensor ids_T = ids_ahead(context.batch, static_cast<std::int64_t>(depth) + 1);
    const PredictionLayer::Output ahead =
        predictions_[depth]->forward(context, before_TD, embedding(context, embedding_, ids_T),
                                     rotary, options_.block_pass, output.routers);
    output.ahead_TD.push_back(ahead.hidden_TD);
    before_TD = ahead.stream_TD;
  }
}

}  // namespace moesaic
