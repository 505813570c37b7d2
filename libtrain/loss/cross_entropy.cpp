#include "loss/cross_entropy.h"

#include <ATen/ops/full.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/gather.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <limits>
#include <memory>

#include "comm/trace_span.h"
#include "loss/logit_blocks.h"
#include "loss/logit_loss.h"
#include "loss/target_rows.h"
#include "nn/cpu/token_loss.h"

namespace moesaic {
namespace {

constexpr std::int64_t kVocabularyBlock = 4096;  // of a head that is converted

// The target's column, 0 where there is no target (its row counts nothing).
at::Tensor column_of(const at::Tensor& targets_T) { return targets_T.clamp_min(0).unsqueeze(1); }

// -log p(target) of each row of logits, 0 where there is no target.
void losses_of(const at::Tensor& logits, const at::Tensor& targets_T, at::Tensor loss_T) {
  if (logits.is_cpu()) return cpu::token_loss(logits, targets_T, loss_T);
  const at::Tensor wide = logits.to(loss_T.scalar_type());
  const at::Tensor chosen = at::gather(wide, 1, column_of(targets_T)).squeeze(1);
  loss_T.copy_(at::logsumexp(wide, 1).sub_(chosen).masked_fill_(targets_T.lt(0), 0));
}

// As above; logits become the gradient of factor x loss.
void losses_and_gradient(at::Tensor logits, const at::Tensor& targets_T, double factor,
                         at::Tensor loss_T) {
  if (logits.is_cpu()) return cpu::token_loss_and_gradient(logits, targets_T, factor, loss_T);
  losses_of(logits, targets_T, loss_T);
  const at::Tensor p = at::softmax(logits, 1, loss_T.scalar_type());
  const at::Tensor column = column_of(targets_T);
  p.scatter_add_(1, column, at::full(column.sizes(), -1, p.options()));
  logits.copy_(p.mul_(factor).masked_fill_(targets_T.lt(0).unsqueeze(1), 0));
}

at::Tensor zero_losses(const ForwardContext& context, const at::Tensor& hidden_TD) {
  return at::zeros({hidden_TD.size(0)}, hidden_TD.options().dtype(context.precision.master));
}

// As cpu::add_vocabulary_part, on a device.
void add_vocabulary_part(const at::Tensor& logits, const at::Tensor& targets_R, std::int64_t first,
                         const cpu::VocabularySums& sums) {
  if (logits.is_cpu()) return cpu::add_vocabulary_part(logits, targets_R, first, sums);
  const at::Tensor wide = logits.to(sums.sum_R.scalar_type()), column = targets_R.sub(first);
  const at::Tensor elsewhere = column.lt(0).logical_or_(column.ge(wide.size(1)));
  const at::Tensor logit =
      at::gather(wide, 1, column.clamp(0, wide.size(1) - 1).unsqueeze(1)).squeeze(1);
  at::Tensor(sums.chosen_R).add_(logit.masked_fill(elsewhere, 0));
  const at::Tensor highest = at::maximum(sums.highest_R, wide.amax(1));
  at::Tensor(sums.sum_R)
      .mul_(sums.highest_R.sub(highest).exp_())
      .add_(wide.sub(highest.unsqueeze(1)).exp_().sum(1));
  at::Tensor(sums.highest_R).copy_(highest);
}

// As token_losses, with a head that must be converted: block by block of the vocabulary.
at::Tensor losses_by_vocabulary(const ForwardContext& context, const Parameter& head_VD,
                                const at::Tensor& hidden_TD, const at::Tensor& targets_T) {
  const std::int64_t vocabulary = head_VD.tensor.size(0);
  const at::Tensor sum_T = zero_losses(context, hidden_TD), chosen_T = at::zeros_like(sum_T);
  const at::Tensor highest_T = at::full_like(sum_T, -std::numeric_limits<double>::infinity());
  for (std::int64_t first = 0; first < vocabulary; first += kVocabularyBlock) {
    const std::int64_t count = std::min(kVocabularyBlock, vocabulary - first);
    const at::Tensor w_VD = head_VD.rows(first, count, hidden_TD.scalar_type());
    for_each_logit_block(
        context, w_VD, hidden_TD, [&](std::int64_t begin, const at::Tensor& logits) {
          const auto rows = [&](const at::Tensor& x) { return x.narrow(0, begin, logits.size(0)); };
          add_vocabulary_part(logits, rows(targets_T), first,
                              {rows(highest_T), rows(sum_T), rows(chosen_T)});
        });
  }
  return highest_T.add(sum_T.log()).sub_(chosen_T).masked_fill_(targets_T.lt(0), 0);
}

at::Tensor losses_of_rows(const ForwardContext& context, const Linear& head,
                          const at::Tensor& hidden_TD, const at::Tensor& targets_T) {
  const bool is_plain =
      !head.has_adapter() && head.bias() == nullptr && !context.batch.allowed_TV.defined();
  const bool converted = context.weights.converts(head.weight(), hidden_TD.scalar_type()) ||
                         head.weight().quantised.blocks() != nullptr;
  if (is_plain && converted)
    return losses_by_vocabulary(context, head.weight(), hidden_TD, targets_T);
  const at::Tensor loss_T = zero_losses(context, hidden_TD);
  for_each_logit_block(context, head, hidden_TD, [&](std::int64_t begin, const at::Tensor& logits) {
    const std::int64_t rows = logits.size(0);
    losses_of(logits, targets_T.narrow(0, begin, rows), loss_T.narrow(0, begin, rows));
  });
  return loss_T;
}

}  // namespace

at::Tensor token_losses(const ForwardContext& context, const Linear& head,
                        const at::Tensor& hidden_TD, const at::Tensor& targets_T) {
  const TargetRows rows(context, targets_T);
  return rows.spread(
      losses_of_rows(rows.context(), head, rows.of(hidden_TD.detach()), rows.of(targets_T)));
}

std::int64_t count_found(const ForwardContext& context, const Linear& head,
                         const at::Tensor& hidden_TD, const at::Tensor& targets_T) {
  std::int64_t found = 0;
  for_each_logit_block(context, head, hidden_TD, [&](std::int64_t begin, const at::Tensor& logits) {
    const at::Tensor targets = targets_T.narrow(0, begin, logits.size(0));
    found += logits.argmax(1).eq(targets).sum().item<std::int64_t>();
  });
  return found;
}

namespace {

// Sum of the losses x scale: in the metric as it is, in the loss times `coefficient`. Each row
// counts `weight_T`, where that is defined. Pieces of the head's gradient refer to the rows.
TermValue cross_entropy(const StepView& view, const at::Tensor& hidden_TD,
                        const at::Tensor& targets_T, double scale, double coefficient,
                        const at::Tensor& weight_T) {
  const auto rows = std::make_shared<const TargetRows>(view.context, targets_T);
  const StepView of_rows{rows->context(), view.output, view.head, view.step};
  const RowLosses losses = [rows, targets_R = rows->of(targets_T), weight_R = rows->of(weight_T)](
                               std::int64_t begin, const at::Tensor& logits, double factor,
                               const at::Tensor& loss) {
    const std::int64_t count = logits.size(0);
    losses_and_gradient(logits, targets_R.narrow(0, begin, count), factor, loss);
    if (weight_R.defined()) weigh_rows(weight_R.narrow(0, begin, count), logits, loss);
  };
  return logit_loss("cross_entropy", of_rows, rows->of(hidden_TD), scale, coefficient, losses);
}

// What the rows of a step count, and the factor of their sum.
struct TargetMean {
  double scale = 1;
  at::Tensor weight_T = {};

  TargetMean(const StepView& view, const std::optional<UnitMean>& units)
      : scale(units ? 1.0 : per_target(view.step)),
        weight_T(units ? units->of_targets(view.context.batch) : at::Tensor()) {}
};

}  // namespace

TermValue CrossEntropy::evaluate(const StepView& view) {
  const Span span("cross_entropy");
  const TargetMean mean(view, units_);
  return cross_entropy(view, view.output.hidden_TD, view.context.batch.targets_T, mean.scale, 1.0,
                       mean.weight_T);
}

TermValue FurtherCrossEntropy::evaluate(const StepView& view) {
  const Span span("further_cross_entropy");
  const std::vector<at::Tensor>& ahead_TD = view.output.ahead_TD;
  const auto depths = static_cast<double>(ahead_TD.size());
  const TargetMean mean(view, units_);
  TermValue sum;
  for (std::size_t depth = 0; depth < ahead_TD.size(); ++depth) {
    const at::Tensor targets_T =
        targets_ahead(view.context.batch, static_cast<std::int64_t>(depth) + 1);
    const TermValue term = cross_entropy(view, ahead_TD[depth], targets_T, mean.scale / depths,
                                         coefficient_, mean.weight_T);
    sum.loss = sum.loss.defined() ? sum.loss.add(term.loss) : term.loss;
    sum.metric += term.metric;
  }
  return sum;
}

}  // namespace moesaic
