#include "nn/gradient_sink.h"

#include <ATen/ops/mul.h>
#include <ATen/ops/sum.h>

#include "core/error.h"
#include "nn/cpu/rms_norm.h"
#include "nn/cpu/rows.h"
#include "nn/grouped_product.h"

namespace moesaic {

AccumulatingSink::AccumulatingSink(const ParameterSet& parameters, const RankContext& context,
                                   MatmulKernel kernel, const GradientBuckets::Options& buckets)
    : parameters_(parameters),
      buckets_(parameters, context, buckets),
      kernel_(kernel),
      open_(parameters.size(), 0) {}

void AccumulatingSink::begin(const Round& round) {
  round_ = round;
  if (round.index == 0 && buckets_.is_spread()) buckets_.zero();
  buckets_.begin(round.last);
}

void AccumulatingSink::open(const Parameter& parameter) {
  ++open_.at(static_cast<std::size_t>(parameter.index));
}

void AccumulatingSink::add(const ParameterUse& use) {
  add_gradient(use, buckets_.view(use.parameter), kernel_, [this] { buckets_.progress(); });
}

void AccumulatingSink::close(const Parameter& parameter, const HandOverAgain& /*again*/) {
  int& open = open_.at(static_cast<std::size_t>(parameter.index));
  MOESAIC_ASSERT(open > 0);
  if (--open == 0) buckets_.complete(parameter);
}

void AccumulatingSink::end() {
  if (round_.last) buckets_.finish();
}

namespace {

at::Tensor weighted_gradient(const ParameterUse& use) {
  const at::Tensor& dy = use.output_gradient;
  return use.weight_R.defined() ? dy.mul(use.weight_R.to(dy.scalar_type()).unsqueeze(1)) : dy;
}

void add_scale_gradient(const ParameterUse& use, const at::Tensor& dy, at::Tensor gradient) {
  if (dy.is_cpu())
    cpu::add_scale_gradient(dy, use.input, use.factor_R, gradient);
  else
    gradient.add_(at::mul(use.input, use.factor_R.unsqueeze(1)).mul_(dy).sum(0));
}

void add_embedding_gradient(const ParameterUse& use, const at::Tensor& dy, at::Tensor gradient) {
  const at::Tensor rows_TD = dy.to(gradient.scalar_type());
  if (dy.is_cpu() && gradient.is_contiguous())
    cpu::add_to_rows(rows_TD.contiguous(), use.input.contiguous(), gradient);
  else
    gradient.index_add_(0, use.input, rows_TD);
}

void add_bias_gradient(const ParameterUse& use, const at::Tensor& dy, const at::Tensor& gradient) {
  const auto add = [&gradient](const at::Tensor& rows, const at::Tensor& sum) {
    at::Tensor(sum).add_(at::sum(rows, at::IntArrayRef{0}, false, gradient.scalar_type()));
  };
  if (gradient.dim() == 1) return add(dy, gradient);
  const std::vector<std::int64_t>& begin = use.offsets.host();
  for (std::size_t e = 0; e + 1 < begin.size(); ++e)
    add(dy.narrow(0, begin[e], begin[e + 1] - begin[e]),
        gradient.select(0, static_cast<std::int64_t>(e)));
}

}  // namespace

void add_gradient(const ParameterUse& use, at::Tensor gradient, MatmulKernel kernel,
                  const std::function<void()>& progress) {
  if (use.output_gradient.size(0) == 0) return;
  const at::Tensor dy = weighted_gradient(use);
  switch (use.kind) {
    case ParameterUse::Kind::kLinear:
      add_product_of_rows(dy, use.input, kernel, gradient);
      return;
    case ParameterUse::Kind::kGrouped:
      add_grouped_product_of_rows(dy, use.input, use.offsets, kernel, gradient, progress);
      return;
    case ParameterUse::Kind::kEmbedding:
      add_embedding_gradient(use, dy, gradient);
      return;
    case ParameterUse::Kind::kScale:
      add_scale_gradient(use, dy, gradient);
      return;
    case ParameterUse::Kind::kBias:
      add_bias_gradient(use, dy, gradient);
      return;
  }
}

}  // namespace moesaic
