#include "continual/distillation.h"

#include <ATen/ops/log_softmax.h>
#include <ATen/ops/zeros.h>

#include <memory>

#include "loss/logit_blocks.h"
#include "loss/logit_loss.h"
#include "loss/target_rows.h"

namespace moesaic {
namespace {

// T^2 KL(old || new) of each row; the new logits become the gradient of factor times it:
// factor T (p_new - p_old).
void distance_and_gradient(const at::Tensor& old_logits, const at::Tensor& targets_T,
                           double temperature, double factor, at::Tensor logits,
                           at::Tensor loss_T) {
  const at::ScalarType wide = loss_T.scalar_type();
  const at::Tensor log_old = at::log_softmax(old_logits.to(wide).div(temperature), 1);
  const at::Tensor log_new = at::log_softmax(logits.to(wide).div(temperature), 1);
  const at::Tensor p_old = log_old.exp(), none_T = targets_T.lt(0);
  const at::Tensor distance = log_old.sub(log_new).mul_(p_old).sum(1);
  loss_T.copy_(distance.mul_(temperature * temperature).masked_fill_(none_T, 0));
  logits.copy_(
      log_new.exp().sub_(p_old).mul_(factor * temperature).masked_fill_(none_T.unsqueeze(1), 0));
}

// The passes of both models over a batch whose rows may have the outputs that the old one has
// learned, all rows the same. Pieces of the head's gradient refer to it.
struct ComparedBatch {
  Batch batch;
  ForwardContext mine, its;

  ComparedBatch(const StepView& view, OldModel& old)
      : batch(view.context.batch), mine(head_context(view.context, batch)), its(old.context(batch)) {
    const at::Tensor outputs_V = old.outputs();
    batch.allowed_TV = at::Tensor();
    if (!outputs_V.defined()) return;
    batch.allowed_TV =
        outputs_V.to(view.output.hidden_TD.device()).expand({batch.tokens(), outputs_V.size(0)});
  }
  ComparedBatch(const ComparedBatch&) = delete;
  ComparedBatch& operator=(const ComparedBatch&) = delete;
};

}  // namespace

TermValue Distillation::evaluate(const StepView& view) {
  if (!old_->knows())
    return {at::zeros({}, view.output.hidden_TD.options().dtype(view.context.precision.master)), 0};
  const auto both = std::make_shared<ComparedBatch>(view, *old_);
  const Batch& batch = both->batch;
  const at::Tensor old_TD = old_->hidden(both->its);
  const auto& units = options_.units;
  const at::Tensor weight_T = units ? units->of_targets(batch) : at::Tensor();
  const RowLosses rows = [this, both, old_TD, weight_T, targets_T = batch.targets_T](
                             std::int64_t begin, const at::Tensor& logits, double factor,
                             const at::Tensor& loss_T) {
    const std::int64_t count = logits.size(0);
    const auto compare = [&](std::int64_t first, const at::Tensor& old_logits) {
      const std::int64_t here = old_logits.size(0);
      distance_and_gradient(old_logits, targets_T.narrow(0, begin + first, here),
                            options_.temperature, factor, logits.narrow(0, first, here),
                            loss_T.narrow(0, first, here));
    };
    for_each_logit_block(both->its, old_->head(), old_TD.narrow(0, begin, count), compare);
    if (weight_T.defined()) weigh_rows(weight_T.narrow(0, begin, count), logits, loss_T);
  };
  const double scale = units ? 1.0 : per_target(view.step);
  const StepView compared{both->mine, view.output, view.head, view.step};
  TermValue value =
      logit_loss("distillation", compared, view.output.hidden_TD, scale, options_.lambda, rows);
  value.metric *= options_.lambda;
  return value;
}

}  // namespace moesaic
