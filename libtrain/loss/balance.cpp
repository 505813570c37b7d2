#include "loss/balance.h"

#include <ATen/ops/logsumexp.h>
#include <ATen/ops/stack.h>

#include <algorithm>

#include "core/error.h"

namespace moesaic {
namespace {

// Sum over layers -> the term: coefficient x sum in the loss, the mean over layers in the metric.
TermValue over_layers(const std::vector<at::Tensor>& layers, double share, double coefficient) {
  MOESAIC_ASSERT(!layers.empty());
  const at::Tensor sum = at::stack(layers).sum();
  const double value = sum.item<double>() * share;
  return {sum.mul(coefficient * share), value / static_cast<double>(layers.size())};
}

}  // namespace

TermValue SwitchBalance::evaluate(const StepView& view) const {
  std::vector<at::Tensor> layers;
  for (const RouterRecord& router : view.routers) {
    const auto tokens = static_cast<double>(std::max<std::int64_t>(1, router.selected_TK.size(0)));
    const auto chosen = static_cast<double>(router.selected_TK.size(1));
    const at::Tensor& p_TE = router.probabilities_TE;
    const at::Tensor f_E = router.count_E.to(p_TE.scalar_type()).div(chosen * tokens);
    layers.push_back(f_E.mul(p_TE.sum(0)).sum().mul(static_cast<double>(p_TE.size(1)) / tokens));
  }
  return over_layers(layers, 1.0 / static_cast<double>(view.step.micro_batches), coefficient_);
}

TermValue TransformersBalance::evaluate(const StepView& view) const {
  std::vector<at::Tensor> counts, probabilities;
  for (const RouterRecord& router : view.routers) {
    counts.push_back(router.count_E);
    probabilities.push_back(router.probabilities_TE.sum(0));
  }
  MOESAIC_ASSERT(!counts.empty());
  const at::Tensor p_E = at::stack(probabilities).sum(0);
  const at::Tensor count_E = at::stack(counts).sum(0).to(p_E.scalar_type());
  const auto layers = static_cast<double>(counts.size());
  const auto tokens = std::max<std::int64_t>(1, view.routers[0].selected_TK.size(0));
  const double rows = layers * static_cast<double>(tokens);
  const double share = 1.0 / static_cast<double>(view.step.micro_batches);
  const at::Tensor value =
      count_E.mul(p_E).sum().mul(share * static_cast<double>(p_E.size(0)) / (rows * rows));
  return {value.mul(coefficient_), value.item<double>()};
}

TermValue RouterZ::evaluate(const StepView& view) const {
  std::vector<at::Tensor> layers;
  for (const RouterRecord& router : view.routers) {
    layers.push_back(at::logsumexp(router.logits_TE, 1).square().sum());
  }
  return over_layers(layers,
                     1.0 / static_cast<double>(std::max<std::int64_t>(1, view.step.input_tokens)),
                     coefficient_);
}

}  // namespace moesaic
