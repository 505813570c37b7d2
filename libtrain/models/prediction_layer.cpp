#include "models/prediction_layer.h"

#include <ATen/ops/cat.h>

#include "nn/norm.h"
#include "nn/ops.h"

namespace moesaic {
namespace {

using Names = arch::PredictionNames;

Parameter make(ParameterFactory& factory, int layer, const char* name) {
  return factory.make(arch::layer_prefix(layer) + name);
}

}  // namespace

PredictionLayer::PredictionLayer(const arch::Options& arch, int layer, int router,
                                 const MoeRun& moe, ParameterFactory& factory,
                                 const RankContext& context)
    : norm_eps_(arch.rms_norm_eps),
      embedding_norm_(make(factory, layer, Names::kEmbeddingNorm)),
      hidden_norm_(make(factory, layer, Names::kHiddenNorm)),
      projection_(make(factory, layer, Names::kProjection)),
      block_(arch, layer, router, moe, factory, context),
      head_norm_(make(factory, layer, Names::kHeadNorm)) {}

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
  const at::Tensor x_TD = linear(context, projection_, nullptr, both_T2D).to(precision.master);
  Output output;
  output.stream_TD = pass(block_, context, x_TD, rotary, records);
  output.hidden_TD = normal(head_norm_, output.stream_TD);
  return output;
}

void PredictionLayer::collect(ParameterSet& parameters) {
  parameters.add(embedding_norm_);
  parameters.add(hidden_norm_);
  parameters.add(projection_);
  block_.collect(parameters);
  parameters.add(head_norm_);
}

}  // namespace moesaic
