#include "models/classifier.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/relu.h>

#include "comm/trace_span.h"
#include "core/error.h"

namespace moesaic {

Classifier::Classifier(const arch::Options& arch, const AdapterFactory* adapters,
                       const ParameterSet& parameters)
    : input_size_(arch.input_size) {
  ModuleBuilder builder(parameters, adapters);
  for (std::int64_t layer = 0; layer <= arch.num_hidden_layers; ++layer)
    layers_.push_back(builder.linear(format("layers.{}", layer)));
  builder.check_complete();
}

at::Tensor Classifier::features(const ForwardContext& context) const {
  const Batch& batch = context.batch;
  const at::ScalarType dtype = context.precision.compute;
  if (batch.features_TF.defined()) return batch.features_TF.to(dtype);
  MOESAIC_ASSERT(batch.tokens() == 0);
  return at::empty({0, input_size_}, batch.targets_T.options().dtype(dtype));
}

ModelOutput Classifier::forward(const ForwardContext& context) const {
  const Span span("forward");
  at::Tensor x = features(context);
  for (std::size_t layer = 0; layer + 1 < layers_.size(); ++layer) {
    const Span layer_span(span_name::kLayer, static_cast<std::int64_t>(layer));
    x = at::relu(layers_[layer].forward(context, x));
  }
  ModelOutput output;
  output.hidden_TD = x;
  return output;
}

}  // namespace moesaic
