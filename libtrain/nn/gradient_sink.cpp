#include "nn/gradient_sink.h"

#include <ATen/ops/mul.h>
#include <ATen/ops/sum.h>

#include "core/error.h"

namespace moesaic {

AccumulatingSink::AccumulatingSink(const ParameterSet& parameters, GradientBuckets& buckets,
                                   MatmulKernel kernel)
    : buckets_(buckets), kernel_(kernel), open_uses_(parameters.size(), 0) {}

void AccumulatingSink::expect(const Parameter& parameter) {
  if (parameter.trainable) ++open_uses_.at(static_cast<std::size_t>(parameter.index));
}

void AccumulatingSink::accumulate(const ParameterUse& use) {
  if (!use.parameter.trainable) return;
  add_gradient(use, buckets_.view(use.parameter), kernel_);
  int& open = open_uses_.at(static_cast<std::size_t>(use.parameter.index));
  MOESAIC_ASSERT(open > 0);
  if (--open == 0) buckets_.complete(use.parameter);
}

void add_gradient(const ParameterUse& use, at::Tensor gradient, MatmulKernel kernel) {
  const at::Tensor& dy = use.output_gradient;
  if (dy.size(0) == 0) return;
  switch (use.kind) {
    case ParameterUse::Kind::kLinear:
      gradient.add_(product(dy.t(), use.input.t(), kernel));
      return;
    case ParameterUse::Kind::kGrouped:
      for (std::size_t e = 0; e + 1 < use.offsets.size(); ++e) {
        const std::int64_t begin = use.offsets[e], rows = use.offsets[e + 1] - begin;
        if (rows == 0) continue;
        gradient.select(0, static_cast<std::int64_t>(e))
            .add_(product(dy.narrow(0, begin, rows).t(), use.input.narrow(0, begin, rows).t(),
                          kernel));
      }
      return;
    case ParameterUse::Kind::kEmbedding:
      gradient.index_add_(0, use.input, dy.to(gradient.scalar_type()));
      return;
    case ParameterUse::Kind::kScale:
      gradient.add_(at::sum(at::mul(dy, use.input), 0));
      return;
    case ParameterUse::Kind::kBias:
      gradient.add_(at::sum(dy, at::IntArrayRef{0}, false, gradient.scalar_type()));
      return;
  }
}

}  // namespace moesaic
