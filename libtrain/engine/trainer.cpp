#include "engine/trainer.h"

#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "comm/trace_span.h"
#include "core/error.h"

namespace moesaic {
namespace {

/// " name = value" of each value that is not finite.
std::string not_finite(const StepReport& report) {
  std::string wrong;
  const auto look_at = [&](const std::vector<std::pair<std::string, double>>& values) {
    for (const auto& [name, value] : values) {
      if (!std::isfinite(value)) wrong += format(" {} = {}", name, value);
    }
  };
  look_at(report.losses);
  look_at(report.transforms.values);
  return wrong;
}

}  // namespace

StepReport Trainer::step(std::int64_t number, const Request& request) {
  StepReport report;
  context_.world.at_step(number);
  const Step& step = report.step = begin(number, request);

  for (const auto& part : parts_.around) part->before(step);
  compute_gradient(step, report);
  sum_over_ranks(request, report);
  for (const auto& part : parts_.around) part->gradient_done(context_, step);

  Gradients gradients = transformed(report);
  report.not_finite = not_finite(report);
  if (!report.not_finite.empty()) {
    for (const auto& transform : parts_.transforms)
      report.not_finite += transform->suspicion(context_, step);
    report.rewind = parts_.not_finite->meet(step, report.not_finite) == AfterNotFinite::kRewind;
    gradients.clear();
    report.skipped = true;
    return report;
  }

  parts_.saver->before_change();
  update(step, gradients);
  return report;
}

Step Trainer::begin(std::int64_t number, const Request& request) {
  const Span span(span_name::kData);
  return {.number = number,
          .size = parts_.train->size(number - 1),
          .learning_rate = parts_.schedule->learning_rate(number),
          .logged = request.logged,
          .diagnosed = request.diagnosed};
}

void Trainer::compute_gradient(const Step& step, StepReport& report) {
  for (const auto& term : parts_.losses) {
    term->begin_step();
    report.losses.emplace_back(term->name(), 0.0);
  }
  const std::int64_t ranks = context_.world.size();
  const std::int64_t rounds =
      std::max<std::int64_t>(1, (step.size.micro_batches + ranks - 1) / ranks);
  for (std::int64_t r = 0; r < rounds; ++r) {
    std::optional<Span> span(std::in_place, "round", r);
    parts_.sink->begin({.index = r, .last = r + 1 == rounds});
    const Batch batch = micro_batch(step, r * ranks + context_.rank());
    ForwardContext context = parts_.computation.forward(batch);
    forward_and_backward(context, report);
    span.reset();
    parts_.sink->end();  // what was handed over refers to the batch and its context
  }
}

void Trainer::forward_and_backward(ForwardContext& context, StepReport& report) {
  context.sink = parts_.sink.get();
  context.training = true;
  context.step = report.step.number;
  for (const auto& part : parts_.around) part->before_forward(context);
  const at::Tensor total = loss(context, report);
  const Span span(span_name::kBackward);
  total.backward();
  parts_.sink->catch_up();
}

// What the losses looked at is gone when backward begins. The head is in use until all of them have
// had it.
at::Tensor Trainer::loss(const ForwardContext& context, StepReport& report) {
  const ModelOutput output = parts_.model->forward(context);
  const StepView view{context, output, parts_.model->head(), report.step.size};
  const Span span("loss");
  std::vector<const Parameter*> in_use;
  for (const Parameter* parameter : view.head.parameters())
    if (context.open(*parameter)) in_use.push_back(parameter);
  at::Tensor total;
  for (std::size_t i = 0; i < parts_.losses.size(); ++i) {
    const Span term(parts_.losses[i]->name());
    const TermValue value = parts_.losses[i]->evaluate(view);
    total = total.defined() ? total.add(value.loss) : value.loss;
    report.losses[i].second += value.metric;
  }
  for (const Parameter* parameter : in_use) context.sink->close(*parameter);
  report.loss_total += total.item<double>();
  for (const auto& part : parts_.around) part->after_forward(output);
  return total;
}

// Everything that is a sum over the ranks' micro-batches, in one collective.
void Trainer::sum_over_ranks(const Request& request, StepReport& report) {
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
}

Gradients Trainer::transformed(StepReport& report) {
  Gradients gradients = parts_.gradients;
  for (const auto& transform : parts_.transforms) {
    const Span span(transform->name());
    transform->apply(context_, report.step, gradients, report.transforms);
    report.loss_total += transform->loss();
  }
  return gradients;
}

void Trainer::update(const Step& step, const Gradients& gradients) {
  const Span span("optimizer");
  parts_.optimizer->step(gradients, step.number, step.learning_rate);
  for (const auto& part : parts_.around) part->after(context_, step);
  parts_.computation.weights.invalidate();
}

Batch Trainer::micro_batch(const Step& step, std::int64_t index) const {
  const Span span(span_name::kData);
  const bool exists = index < step.size.micro_batches;
  return to_device(exists ? parts_.train->micro_batch(step.number - 1, index) : empty_batch(),
                   context_.device);
}

}  // namespace moesaic
