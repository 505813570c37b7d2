#include "models/prediction_layer.h"

#include <ATen/ops/cat.h>

#include "nn/norm.h"

namespace moesaic {
namespace {

using Names = arch::PredictionNames;

const Parameter& parameter(ModuleBuilder& builder, int layer, const char* name) {
  return builder.parameter(arch::layer_prefix(layer) + name);
}

}  // namespace

PredictionLayer::PredictionLayer(const arch::Options& arch, int layer, int router,
                                 const MoeTraining& moe, ModuleBuilder& builder,
                                 const RankContext& context)
    : norm_eps_(arch.rms_norm_eps),
      embedding_norm_(parameter(builder, layer, Names::kEmbeddingNorm)),
      hidden_norm_(parameter(builder, layer, Names::kHiddenNorm)),
      projection_(builder.linear(arch::layer_prefix(layer) + Names::kProjection)),
      block_(arch, layer, router, moe, builder, context),
      head_norm_(parameter(builder, layer, Names::kHeadNorm)) {}

PredictionLayer::Output PredictionLayer::forward(const ForwardContext& context,
                                                 const at::Tensor& before_TD,
                                                 const at::Tensor& next_embedding_TD,
                                                 const RotaryTable& rotary, BlockPass pass,
                                                 std::vector<RouterRecord>& records) const {
  const Precision& precision = context.precision;
  const auto normal = [&](const Parameter& norm, const at::Tensor& x_TD) {
    return rms_norm(context, norm, x_TD.to(precision.master), norm_eps_, precision.compute);
  };
  const at::Tensor both_T2D =
      at::cat({normal(embedding_norm_, next_embedding_TD), normal(hidden_norm_, before_TD)}, 1);
  const at::Tensor x_TD = projection_.forward(context, both_T2D).to(precision.master);
  Output output;
  output.stream_TD = pass(block_, context, x_TD, rotary, records);
  output.hidden_TD = normal(head_norm_, output.stream_TD);
  return output;
}

}  // namespace moesaic
