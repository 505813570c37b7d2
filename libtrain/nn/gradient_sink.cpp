#include "nn/gradient_sink.h"

#include <ATen/ops/mul.h>
#include <ATen/ops/sum.h>

#include "core/error.h"
#include "nn/cpu/rms_norm.h"

namespace moesaic {

AccumulatingSink::AccumulatingSink(const ParameterSet& parameters, GradientBuckets& buckets,
                                   MatmulKernel kernel)
    : buckets_(buckets), kernel_(kernel), open_uses_(parameters.size(), 0) {}

void AccumulatingSink::expect(const Parameter& parameter) {
  if (parameter.trainable) ++open_uses_.at(static_cast<std::size_t>(parameter.index));
}

void AccumulatingSink::accumulate(const ParameterUse& use) {
  if (!use.parameter.trainable) return;
  add_gradient(use, buckets_.view(use.parameter), kernel_, [this] { buckets_.progress(); });
  int& open = open_uses_.at(static_cast<std::size_t>(use.parameter.index));
  MOESAIC_ASSERT(open > 0);
  if (--open == 0) buckets_.complete(use.parameter);
}

namespace {

void add_scale_gradient(const ParameterUse& use, at::Tensor gradient) {
  const at::Tensor& dy = use.output_gradient;
  if (dy.is_cpu())
    cpu::add_scale_gradient(dy, use.input, use.factor_R, gradient);
  else
    gradient.add_(at::mul(use.input, use.factor_R.unsqueeze(1)).mul_(dy).sum(0));
}

}  // namespace

void add_gradient(const ParameterUse& use, at::Tensor gradient, MatmulKernel kernel,
                  const std::function<void()>& progress) {
  const at::Tensor& dy = use.output_gradient;
  if (dy.size(0) == 0) return;
  switch (use.kind) {
    case ParameterUse::Kind::kLinear:
      add_product_of_rows(dy, use.input, kernel, gradient);
      return;
    case ParameterUse::Kind::kGrouped:
      for (std::size_t e = 0; e + 1 < use.offsets.size(); ++e) {
        const std::int64_t begin = use.offsets[e], rows = use.offsets[e + 1] - begin;
        add_product_of_rows(dy.narrow(0, begin, rows), use.input.narrow(0, begin, rows), kernel,
                            gradient.select(0, static_cast<std::int64_t>(e)));
        if (progress) progress();
      }
      return;
    case ParameterUse::Kind::kEmbedding:
      gradient.index_add_(0, use.input, dy.to(gradient.scalar_type()));
      return;
    case ParameterUse::Kind::kScale:
      add_scale_gradient(use, gradient);
      return;
    case ParameterUse::Kind::kBias:
      gradient.add_(at::sum(dy, at::IntArrayRef{0}, false, gradient.scalar_type()));
      return;
  }
}

}  // namespace moesaic
