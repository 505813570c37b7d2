#include "models/transformer.h"

#include "comm/trace_span.h"
#include "core/format.h"
#include "nn/norm.h"
#include "nn/ops.h"

namespace moesaic {
namespace {

constexpr const char* kEmbedding = "model.embed_tokens.weight";

Linear make_head(ModuleBuilder& builder) {
  auto head = builder.linear_if_present("lm_head");
  return head ? *head : Linear(builder.parameter(kEmbedding));
}

}  // namespace

Transformer::Transformer(const Options& options, const ParameterSet& parameters,
                         const RankContext& context)
    : Transformer(options, ModuleBuilder(parameters, options.adapters), context) {}

Transformer::Transformer(const Options& options, ModuleBuilder builder, const RankContext& context)
    : arch_(options.arch),
      block_pass_(options.block_pass),
      embedding_(builder.parameter(kEmbedding)),
      norm_(builder.parameter("model.norm.weight")),
      head_(make_head(builder)) {
  int router = 0;
  for (int layer = 0; layer < arch_.num_hidden_layers; ++layer) {
    blocks_.push_back(std::make_unique<Block>(arch_, layer, router, options.moe, builder, context));
    router += arch_.is_moe_layer(layer) ? 1 : 0;
  }
  for (int depth = 0; depth < arch_.num_nextn_predict_layers; ++depth) {
    const int layer = static_cast<int>(arch_.num_hidden_layers) + depth;
    predictions_.push_back(
        std::make_unique<PredictionLayer>(arch_, layer, router, options.moe, builder, context));
    router += arch_.is_moe_layer(layer) ? 1 : 0;
  }
  builder.check_complete();
}

RotaryTable Transformer::rotary(const ForwardContext& context) const {
  return RotaryTable::make(context.batch, arch_.rope, arch_.max_position_embeddings,
                           arch_.rotary_dim(), context.precision.master);
}

ModelOutput Transformer::forward(const ForwardContext& context) const {
  const Span span("forward");
  ModelOutput output;
  const RotaryTable rotary = this->rotary(context);
  at::Tensor x_TD = embedding(context, embedding_, context.batch.ids_T);
  for (std::size_t layer = 0; layer < blocks_.size(); ++layer) {
    const Span layer_span(span_name::kLayer, static_cast<std::int64_t>(layer));
    x_TD = block_pass_(*blocks_[layer], context, x_TD, rotary, output.routers);
  }
  output.hidden_TD = rms_norm(context, norm_, x_TD, arch_.rms_norm_eps, context.precision.compute);
  if (context.training || context.predicts_ahead) predict_ahead(context, rotary, output);
  return output;
}

at::Tensor Transformer::predict(const ForwardContext& context, const at::Tensor& hidden_TD) const {
  std::vector<RouterRecord> records;
  return predictions_.at(0)
      ->forward(context, hidden_TD, embedding(context, embedding_, context.batch.ids_T),
                rotary(context), block_pass_, records)
      .hidden_TD;
}

void Transformer::predict_ahead(const ForwardContext& context, const RotaryTable& rotary,
                                ModelOutput& output) const {
  at::Tensor before_TD = output.hidden_TD;
  for (std::size_t depth = 0; depth < predictions_.size(); ++depth) {
    const Span span("predict_ahead", static_cast<std::int64_t>(depth));
    const at::Tensor ids_T = ids_ahead(context.batch, static_cast<std::int64_t>(depth) + 1);
    const PredictionLayer::Output ahead =
        predictions_[depth]->forward(context, before_TD, embedding(context, embedding_, ids_T),
                                     rotary, block_pass_, output.routers);
    output.ahead_TD.push_back(ahead.hidden_TD);
    before_TD = ahead.stream_TD;
  }
}

}  // namespace moesaic
