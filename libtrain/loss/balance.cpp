#include "loss/balance.h"

#include <ATen/ops/logsumexp.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/topk.h>

#include <algorithm>

#include "core/error.h"
#include "nn/group_offsets.h"

namespace moesaic {
namespace {

// Sum over layers -> the term: coefficient x sum in the loss, the mean over layers in the metric.
TermValue over_layers(const std::vector<at::Tensor>& layers, double share, double coefficient) {
  MOESAIC_ASSERT(!layers.empty());
  const at::Tensor sum = at::stack(layers).sum();
  const double value = sum.item<double>() * share;
  return {sum.mul(coefficient * share), value / static_cast<double>(layers.size())};
}

double at_least_1(std::int64_t count) {
  return static_cast<double>(std::max<std::int64_t>(1, count));
}

// E * sum_i f_i P_i with f = count / its sum and P = p_sum / tokens.
at::Tensor balance(const at::Tensor& count_E, const at::Tensor& p_sum_E, double tokens) {
  const auto dtype = p_sum_E.scalar_type();
  const at::Tensor f_E = count_E.to(dtype).div(count_E.sum().clamp_min(1).to(dtype));
  return f_E.mul(p_sum_E).sum().mul(static_cast<double>(p_sum_E.size(0)) / tokens);
}

// Sum over the rows of a value of each, as they count in their units; and what is left to divide
// by.
at::Tensor over_rows(const at::Tensor& value, const StepView& view,
                     const std::optional<UnitMean>& units) {
  if (!units) return value.sum();
  return value.mul(units->of_rows(view.context.batch).to(value.scalar_type())).sum();
}

double share_of_row(const StepView& view, const std::optional<UnitMean>& units) {
  return units ? 1.0 : 1.0 / at_least_1(view.step.input_tokens);
}

}  // namespace

TermValue LayerBalance::evaluate(const StepView& view) {
  std::vector<at::Tensor> layers;
  for (std::size_t i = 0; i < view.output.routers.size(); ++i) layers.push_back(layer(view, i));
  return over_layers(layers, 1.0, coefficient_);
}

at::Tensor SwitchBalance::layer(const StepView& view, std::size_t index) const {
  const RouterRecord& router = view.output.routers[index];
  const at::Tensor& p_TE = router.probabilities_TE;
  return balance(router.count_E, p_TE.sum(0), at_least_1(p_TE.size(0)))
      .div(at_least_1(view.step.micro_batches));
}

at::Tensor GshardBalance::layer(const StepView& view, std::size_t index) const {
  const RouterRecord& router = view.output.routers[index];
  const at::Tensor& p_TE = router.probabilities_TE;
  const at::Tensor first_E = count_of(router.selected_TK.select(1, 0), p_TE.size(1));
  return balance(first_E, p_TE.sum(0), at_least_1(p_TE.size(0)))
      .div(at_least_1(view.step.micro_batches));
}

at::Tensor SequenceBalance::layer(const StepView& view, std::size_t index) const {
  const RouterRecord& router = view.output.routers[index];
  const at::Tensor& p_TE = router.probabilities_TE;
  const std::int64_t chosen = router.selected_TK.size(1);
  const at::Tensor best_TK = std::get<1>(at::topk(p_TE.detach(), chosen, -1));
  at::Tensor sum = p_TE.sum().mul(0);  // in the graph, also without documents
  const std::vector<double> weights =
      units_ ? units_->of_documents(view.context.batch) : std::vector<double>();
  const auto& offsets = view.context.batch.document_offsets;
  for (std::size_t d = 0; d + 1 < offsets.size(); ++d) {
    const std::int64_t tokens = offsets[d + 1] - offsets[d];
    const at::Tensor count_E = count_of(best_TK.narrow(0, offsets[d], tokens), p_TE.size(1));
    sum = sum.add(balance(count_E, p_TE.narrow(0, offsets[d], tokens).sum(0), at_least_1(tokens)),
                  units_ ? weights[d] : 1.0);
  }
  return units_ ? sum : sum.div(at_least_1(view.step.documents));
}

TermValue GlobalBalance::evaluate(const StepView& view) {
  std::vector<at::Tensor> counts, layers;
  for (const RouterRecord& router : view.output.routers) counts.push_back(router.count_E);
  at::Tensor count_LE = at::stack(counts);
  if (earlier_count_LE_.defined()) count_LE.add_(earlier_count_LE_);
  earlier_count_LE_ = count_LE.clone();
  view.context.world.all_reduce(count_LE, ReduceOp::kSum, "loss.global_balance");
  for (std::size_t i = 0; i < view.output.routers.size(); ++i) {
    const at::Tensor count_E = count_LE[static_cast<std::int64_t>(i)];
    layers.push_back(balance(count_E, view.output.routers[i].probabilities_TE.sum(0),
                             at_least_1(view.step.input_tokens)));
  }
  return over_layers(layers, 1.0, coefficient_);
}

TermValue RouterEntropy::evaluate(const StepView& view) {
  std::vector<at::Tensor> layers;
  for (const RouterRecord& router : view.output.routers) {
    const at::Tensor& p_TE = router.probabilities_TE;
    const at::Tensor term_TE = p_TE.mul(p_TE.clamp_min(1e-30).log());
    layers.push_back(over_rows(units_ ? term_TE.sum(1) : term_TE, view, units_).neg());
  }
  return over_layers(layers, share_of_row(view, units_), coefficient_);
}

TermValue TransformersBalance::evaluate(const StepView& view) {
  std::vector<at::Tensor> counts, probabilities;
  for (const RouterRecord& router : view.output.routers) {
    counts.push_back(router.count_E);
    probabilities.push_back(router.probabilities_TE.sum(0));
  }
  MOESAIC_ASSERT(!counts.empty());
  const at::Tensor p_E = at::stack(probabilities).sum(0);
  const at::Tensor count_E = at::stack(counts).sum(0).to(p_E.scalar_type());
  const auto layers = static_cast<double>(counts.size());
  const double rows = layers * at_least_1(view.output.routers[0].selected_TK.size(0));
  const double share = 1.0 / at_least_1(view.step.micro_batches);
  const at::Tensor value =
      count_E.mul(p_E).sum().mul(share * static_cast<double>(p_E.size(0)) / (rows * rows));
  return {value.mul(coefficient_), value.item<double>()};
}

TermValue RouterZ::evaluate(const StepView& view) {
  std::vector<at::Tensor> layers;
  for (const RouterRecord& router : view.output.routers) {
    layers.push_back(over_rows(at::logsumexp(router.logits_TE, 1).square(), view, units_));
  }
  return over_layers(layers, share_of_row(view, units_), coefficient_);
}

}  // namespace moesaic
