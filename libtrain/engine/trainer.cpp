#include "engine/trainer.h"

#include <ATen/ops/zeros.h>

#include <cmath>

#include "comm/trace_span.h"

namespace moesaic {
namespace {

void check_finite(const StepReport& report) {
  std::string wrong;
  for (const auto& [name, value] : report.losses) {
    if (!std::isfinite(value)) wrong += format(" {} = {}", name, value);
  }
  if (!std::isfinite(report.gradient.grad_norm))
    wrong += format(" grad_norm = {}", report.gradient.grad_norm);
  if (wrong.empty()) return;
  throw Error(ErrorKind::kRecipe,
              format("step {}: not finite:{}; stopped before the optimizer, nothing was saved",
                     report.step, wrong),
              "lower optimizer.learning_rate, lengthen schedule.warmup_steps or set "
              "train.clip_norm, then go on from "
              "the last checkpoint with --resume auto");
}

}  // namespace

StepReport Trainer::step(std::int64_t step, const Request& request) {
  const std::int64_t index = step - 1;
  const StepSize size = size_of(index);
  StepReport report;
  report.step = step;
  report.target_tokens = size.target_tokens;
  report.learning_rate = parts_.schedule->learning_rate(step);
  for (const auto& term : parts_.losses) report.losses.emplace_back(term->name(), 0.0);

  std::optional<GateProbe> probe = make_probe(request);
  for (std::int64_t first = 0; first < size.micro_batches; first += context_.world.size()) {
    const Span span("round", first / context_.world.size());
    const std::int64_t mine = first + context_.rank();
    parts_.buckets->begin(/*last_round=*/first + context_.world.size() >= size.micro_batches);
    round(micro_batch(index, mine), size, report, probe ? &*probe : nullptr);
  }
  parts_.buckets->finish();
  reduce(request, report);
  if (probe) {
    probe->reduce(context_.world);
    report.gate_grad_norm = probe->norms();
    if (request.diagnose) report.gate_cosine = probe->cosines();
  }
  Gradients gradients = this->gradients();
  for (const auto& transform : parts_.transforms) {
    const Span span(transform->name());
    transform->apply(context_, gradients, report.gradient);
  }
  check_finite(report);
  parts_.saver->before_change();
  const Span span("optimizer");
  parts_.optimizer->step(gradients, step, report.learning_rate);
  feed_back(report);
  parts_.weights.invalidate();
  return report;
}

StepSize Trainer::size_of(std::int64_t step_index) const {
  const Span span(span_name::kData);
  return parts_.train->size(step_index);
}

Batch Trainer::micro_batch(std::int64_t step_index, std::int64_t index) const {
  const Span span(span_name::kData);
  const TokenStream& data = *parts_.train;
  const bool exists = index < data.micro_batches_per_step();
  return to_device(exists ? data.micro_batch(step_index, index) : empty_batch(), context_.device);
}

// Forward and backward of one micro-batch; a rank without one takes part with an empty batch.
void Trainer::round(const Batch& batch, const StepSize& size, StepReport& report,
                    RouterProbe* probe) {
  ForwardContext context{batch,          parts_.precision,  parts_.matmul,
                         parts_.weights, parts_.sink.get(), context_.world};
  context.step = report.step;
  context.probe = probe;
  const at::Tensor total = loss(context, size, report);
  const Span span(span_name::kBackward);
  total.backward();
  parts_.sink->catch_up();
}

// What the losses looked at is gone when backward begins.
at::Tensor Trainer::loss(const ForwardContext& context, const StepSize& size, StepReport& report) {
  const Transformer::Output output = parts_.model->forward(context);
  const StepView view{context, output.hidden_TD, parts_.model->head(),   output.routers,
                      size,    output.ahead_TD,  report.routing.counts()};
  const Span span("loss");
  at::Tensor total;
  for (std::size_t i = 0; i < parts_.losses.size(); ++i) {
    const Span term(parts_.losses[i]->name());
    const TermValue value = parts_.losses[i]->evaluate(view);
    total = total.defined() ? total.add(value.loss) : value.loss;
    report.losses[i].second += value.metric;
  }
  report.loss_total += total.item<double>();
  report.routing.add(output.routers);
  for (const auto& feedback : parts_.feedback) feedback->add(output.routers);
  return total;
}

// Everything that is a sum over the ranks' micro-batches, in one collective.
void Trainer::reduce(const Request& request, StepReport& report) const {
  const auto terms = static_cast<std::int64_t>(report.losses.size());
  at::Tensor sums = at::zeros({terms + 3}, at::kDouble);
  double* value = sums.mutable_data_ptr<double>();
  for (std::int64_t i = 0; i < terms; ++i)
    value[i] = report.losses[static_cast<std::size_t>(i)].second;
  value[terms] = report.loss_total;
  value[terms + 1] = request.stop ? 1 : 0;
  value[terms + 2] = parts_.saver->failed() ? 1 : 0;
  context_.world.all_reduce(sums, ReduceOp::kSum, "step.sums");
  for (std::int64_t i = 0; i < terms; ++i)
    report.losses[static_cast<std::size_t>(i)].second = value[i];
  report.loss_total = value[terms];
  report.stop = value[terms + 1] > 0;
  if (value[terms + 2] > 0) parts_.saver->finish();  // throws, on all ranks
  if (request.routing || !parts_.feedback.empty()) report.routing.reduce(context_.world);
}

std::optional<GateProbe> Trainer::make_probe(const Request& request) const {
  const arch::Options& arch = parts_.model->arch();
  if (!arch.is_moe() || !(request.routing || request.diagnose)) return std::nullopt;
  return GateProbe({.layers = arch.num_routers(),
                    .experts = arch.router_columns(),
                    .width = arch.hidden_size,
                    .dtype = parts_.precision.master,
                    .device = context_.device,
                    .dense = request.diagnose});
}

void Trainer::feed_back(const StepReport& report) const {
  const Span span("feedback");
  for (const auto& feedback : parts_.feedback) feedback->apply(context_, report.routing.counts());
}

Gradients Trainer::gradients() const {
  Gradients gradients;
  for (const Parameter& parameter : parts_.model->parameters()) {
    if (parameter.trainable)
      gradients.entries.push_back({parameter, parts_.buckets->view(parameter)});
  }
  return gradients;
}

}  // namespace moesaic
