#include "continual/fisher.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "comm/trace_span.h"
#include "continual/fisher_sample.h"
#include "continual/fisher_sink.h"
#include "continual/label_gradient.h"
#include "core/error.h"
#include "loss/logit_blocks.h"
#include "nn/autograd.h"
#include "store/agreement.h"
#include "store/finite.h"

namespace moesaic {
namespace {

constexpr std::array<std::pair<FisherLabels, const char*>, 5> kLabelNames = {
    {{FisherLabels::kSampled, "sampled"},
     {FisherLabels::kExact, "exact"},
     {FisherLabels::kEmpirical, "empirical"},
     {FisherLabels::kBatched, "batched"},
     {FisherLabels::kOutputNorm, "mas"}}};
constexpr std::int64_t kMostLabels = 10'000;  // of a pass each

Magnitude magnitude_of(FisherLabels labels) {
  return labels == FisherLabels::kOutputNorm ? Magnitude::kAbsolute : Magnitude::kSquare;
}

// Runs micro-batches of a sample into the sink.
class FisherPass {
 public:
  FisherPass(const FisherModel& model, const FisherRequest& request, const RankContext& context)
      : model_(model),
        request_(request),
        context_(context),
        sink_(model.parameters, {.magnitude = magnitude_of(request.labels),
                                 .matmul = model.matmul,
                                 .dtype = model.precision.master}),
        computation_{.precision = model.precision, .matmul = model.matmul, .world = context.world} {
  }

  FisherSink& sink() { return sink_; }
  /// Passes over each micro-batch.
  std::int64_t passes() const {
    return request_.labels == FisherLabels::kExact ? model_.model.head().weight().shape[0] : 1;
  }
  double targets() const { return targets_; }  // of this rank

  /// Collective over the expert group.
  void run(const Batch& sampled) {
    Batch batch = to_device(sampled, context_.device);
    double weight = 1;
    if (request_.labels == FisherLabels::kBatched && batch.tokens() > 0) weight = make_one(batch);
    targets_ += static_cast<double>(batch.targets_T.ge(0).sum().item<std::int64_t>());
    for (std::int64_t label = 0; label < passes(); ++label) run(batch, label, weight);
  }

 private:
  // All rows become one example, the first. -> the weight of each that was there in the mean.
  static double make_one(Batch& batch) {
    const at::Tensor& example_T = batch.example_id_T;
    const at::Tensor first = example_T.narrow(0, 0, 1);
    const auto last = example_T.narrow(0, example_T.size(0) - 1, 1);
    const auto examples = last.sub(first).item<std::int64_t>() + 1;
    batch.example_id_T = first.expand_as(example_T).contiguous();
    batch.place_T = with_example(batch.place_T, first);
    return 1.0 / static_cast<double>(examples);
  }

  void run(const Batch& batch, std::int64_t label, double weight) {
    ForwardContext forward = computation_.forward(batch);
    forward.sink = &sink_;
    forward.predicts_ahead = request_.mtp_coefficient > 0;
    sink_.begin({});
    const ModelOutput output = model_.model.forward(forward);
    HeadRows rows = head_rows(batch, output, request_);
    rows.weight_R = rows.weight_R.mul(weight);
    Batch of_head = batch;
    of_head.example_id_T = rows.example_R;
    ForwardContext head = computation_.forward(of_head);
    head.sink = &sink_;
    const auto gradient = [this, &rows, label](std::int64_t begin, const at::Tensor& logits) {
      make_label_gradient(rows, request_.labels, label, model_.precision.master, begin, logits);
    };
    const at::Tensor d_hidden_RD =
        backward_through_head(head, model_.model.head(), rows.hidden_RD, gradient);
    record(
        "fisher", {rows.hidden_RD}, at::zeros({}, batch.targets_T.options().dtype(at::kFloat)),
        [d_hidden_RD](const Tensors&) -> Tensors { return {d_hidden_RD}; }, Reach::kBeyond)
        .backward();
    sink_.end();
  }

  const FisherModel& model_;
  const FisherRequest& request_;
  const RankContext& context_;
  FisherSink sink_;
  Computation computation_;
  double targets_ = 0;
};

// Of labels that only a classifier has.
void require_labels(const FisherModel& model, const FisherRequest& request, const Batch& batch) {
  if (request.labels != FisherLabels::kExact) return;
  const std::int64_t labels = model.model.head().weight().shape[0];
  const bool one_row_each = batch.tokens() == batch.documents();
  if (one_row_each && labels <= kMostLabels) return;
  throw Error(ErrorKind::kRecipe,
              "the labels 'exact' are for classifiers, whose examples have one target each",
              "take continual.fisher.labels: sampled");
}

void require_targets(const FisherPass& pass, const RankContext& context) {
  if (context.world.all_reduce(pass.targets(), ReduceOp::kSum, "fisher: targets") > 0) return;
  throw Error(ErrorKind::kData, "the sample for the importances has no target",
              "look at the data of the recipe with moesaic data inspect --recipe");
}

// What each value of the sums is divided by: [e, 1, 1 ...] for experts that count for themselves.
at::Tensor divisor(const Parameter& parameter, const FisherPass& pass, FisherSink& sink,
                   const FisherRequest& request, std::int64_t units) {
  const at::Tensor& sum = sink.sum(parameter);
  if (!request.routing_aware || parameter.scope != Scope::kExpert)
    return at::full({}, units, sum.options());
  std::vector<std::int64_t> shape(static_cast<std::size_t>(sum.dim()), 1);
  shape[0] = sum.size(0);
  const at::Tensor reached = sink.reached(parameter).div(pass.passes(), "floor").clamp_min(1);
  return reached.to(sum.options()).view(shape);
}

void require_finite(const ParameterSet& parameters, const Importance& importance) {
  for (const Parameter& parameter : parameters) {
    const at::Tensor& fisher = importance[static_cast<std::size_t>(parameter.index)].fisher;
    if (!fisher.defined() || all_finite(fisher)) continue;
    throw Error(ErrorKind::kRecipe, format("the importance of {} is not finite", parameter.name),
                "the model's loss or its gradient is too large for train.precision: look at its "
                "valid_loss first");
  }
}

}  // namespace

FisherLabels fisher_labels_named(const std::string& name) {
  for (const auto& [labels, known] : kLabelNames) {
    if (name == known) return labels;
  }
  throw Error(ErrorKind::kInternal, format("'{}' names no labels", name));
}

const char* name_of(FisherLabels labels) {
  for (const auto& [known, name] : kLabelNames) {
    if (labels == known) return name;
  }
  return "";
}

FisherRequest FisherRequest::of(const Recipe& recipe) {
  const ContinualOptions continual = recipe.continual.value_or(ContinualOptions{});
  return {.labels = continual.method == "mas" ? FisherLabels::kOutputNorm
                                              : fisher_labels_named(continual.fisher.labels),
          .examples = continual.fisher.examples,
          .documents = recipe.data.packing == DataOptions::Packing(std::string("best_fit")),
          .routing_aware = continual.fisher.routing_aware,
          .mtp_coefficient = recipe.train.mtp_coefficient,
          .seed = recipe.seed};
}

FisherEstimate estimate_fisher(const FisherModel& model, const StepData& data,
                               const FisherRequest& request, const RankContext& context) {
  const at::AutoGradMode with_gradients(true);
  const Span span("fisher");
  FisherPass pass(model, request, context);
  FisherSample sample(data, {request.examples, request.sequences, request.documents},
                      context.world);
  while (const auto batch = sample.next()) {
    agreed(context.world, "fisher: labels", [&] { require_labels(model, request, *batch); });
    pass.run(*batch);
  }
  require_targets(pass, context);
  FisherSink& sink = pass.sink();
  sink.sum_over_ranks(context);
  const bool batched = request.labels == FisherLabels::kBatched;
  const std::int64_t units = batched ? sample.micro_batches() : sample.examples();
  FisherEstimate estimate{.importance = Importance(model.parameters.size()),
                          .examples = sample.examples()};
  for (const Parameter& parameter : model.parameters) {
    const at::Tensor& sum = sink.sum(parameter);
    if (!sum.defined()) continue;
    estimate.importance[static_cast<std::size_t>(parameter.index)] = {
        .fisher = at::Tensor(sum).div_(divisor(parameter, pass, sink, request, units)),
        .anchor = parameter.tensor.detach().clone()};
  }
  agreed(context.world, "fisher: finite",
         [&] { require_finite(model.parameters, estimate.importance); });
  return estimate;
}

ParameterSet in_full(const ParameterSet& parameters) {
  std::vector<Parameter> all(parameters.begin(), parameters.end());
  for (Parameter& parameter : all)
    parameter.trainable = !parameter.adapter && !parameter.correction_bias;
  return ParameterSet(std::move(all));
}

}  // namespace moesaic
