#include "loss/cross_entropy.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/gather.h>
#include <ATen/ops/logaddexp.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <limits>

#include "comm/trace_span.h"
#include "nn/autograd.h"

namespace moesaic {
namespace {

constexpr std::int64_t kBlockBytes = 16 << 20;   // of logits at a time
constexpr std::int64_t kVocabularyBlock = 4096;  // of a head that is converted

std::int64_t rows_of_block(std::int64_t vocabulary) {
  return std::max<std::int64_t>(1, kBlockBytes / (8 * vocabulary));
}

// Calls visit(begin, rows, logits) for blocks of rows; logits [rows, V] in the master dtype.
template <class Visit>
void for_each_block(const ForwardContext& context, const at::Tensor& hidden_TD,
                    const at::Tensor& w_VD, const Visit& visit) {
  const std::int64_t tokens = hidden_TD.size(0), step = rows_of_block(w_VD.size(0));
  for (std::int64_t begin = 0; begin < tokens; begin += step) {
    const std::int64_t rows = std::min(step, tokens - begin);
    const at::Tensor logits = product(hidden_TD.narrow(0, begin, rows), w_VD, context.matmul);
    context.world.progress();
    visit(begin, rows, logits.to(context.precision.master));
  }
}

// The target's column, 0 where there is no target (its row counts nothing).
at::Tensor column_of(const at::Tensor& targets_T) { return targets_T.clamp_min(0).unsqueeze(1); }

// As token_losses, with a head that must be converted: block by block of the vocabulary, whose sums
// of exponentials are added up (Milakov and Gimelshein 2018, arXiv 1805.02867, equations 3 and 4).
at::Tensor losses_by_vocabulary(const ForwardContext& context, const at::Tensor& head_VD,
                                const at::Tensor& hidden_TD, const at::Tensor& targets_T) {
  const auto options = hidden_TD.options().dtype(context.precision.master);
  const at::Tensor chosen_T = at::zeros({hidden_TD.size(0)}, options);
  const at::Tensor total_T = at::full_like(chosen_T, -std::numeric_limits<double>::infinity());
  for (std::int64_t first = 0; first < head_VD.size(0); first += kVocabularyBlock) {
    const std::int64_t count = std::min(kVocabularyBlock, head_VD.size(0) - first);
    const at::Tensor w_VD = head_VD.narrow(0, first, count).to(hidden_TD.scalar_type());
    const auto visit = [&](std::int64_t begin, std::int64_t rows, const at::Tensor& logits) {
      const at::Tensor column = targets_T.narrow(0, begin, rows).sub(first);
      const at::Tensor elsewhere = column.lt(0).logical_or_(column.ge(count));
      const at::Tensor logit =
          at::gather(logits, 1, column.clamp(0, count - 1).unsqueeze(1)).squeeze(1);
      chosen_T.narrow(0, begin, rows).add_(logit.masked_fill(elsewhere, 0));
      const at::Tensor total = total_T.narrow(0, begin, rows);
      total.copy_(at::logaddexp(total, at::logsumexp(logits, 1)));
    };
    for_each_block(context, hidden_TD, w_VD, visit);
  }
  return total_T.sub(chosen_T).masked_fill_(targets_T.lt(0), 0);
}

}  // namespace

at::Tensor token_losses(const ForwardContext& context, const Parameter& head,
                        const at::Tensor& hidden_TD, const at::Tensor& targets_T) {
  const at::Tensor hidden = hidden_TD.detach();
  if (context.weights.converts(head, hidden.scalar_type())) {
    return losses_by_vocabulary(context, head.tensor, hidden, targets_T);
  }
  const at::Tensor w_VD = context.weights.get(head, hidden.scalar_type());
  const at::Tensor loss_T =
      at::zeros({hidden.size(0)}, hidden.options().dtype(context.precision.master));
  for_each_block(context, hidden, w_VD,
                 [&](std::int64_t begin, std::int64_t rows, const at::Tensor& logits) {
                   const at::Tensor targets = targets_T.narrow(0, begin, rows);
                   const at::Tensor chosen = at::gather(logits, 1, column_of(targets)).squeeze(1);
                   loss_T.narrow(0, begin, rows)
                       .copy_(at::logsumexp(logits, 1).sub_(chosen).masked_fill_(targets.lt(0), 0));
                 });
  return loss_T;
}

TermValue CrossEntropy::evaluate(const StepView& view) const {
  const Span span("cross_entropy");
  const ForwardContext& context = view.context;
  const Parameter& head = view.head;
  context.expect(head);
  const at::Tensor hidden = view.hidden_TD.detach(), targets_T = context.batch.targets_T;
  const double scale =
      1.0 / static_cast<double>(std::max<std::int64_t>(1, view.step.target_tokens));
  const double sum = token_losses(context, head, hidden, targets_T).sum(at::kDouble).item<double>();
  const at::Tensor loss =
      at::scalar_tensor(sum * scale, hidden.options().dtype(context.precision.master));

  // The logits are computed again in backward: they would be the largest tensor of the step.
  record("cross_entropy", {view.hidden_TD}, loss,
         [=, &context, &head](const Tensors& dy) -> Tensors {
           const at::Tensor w_VD = context.weights.get(head, hidden.scalar_type());
           const at::Tensor d_hidden = at::empty(hidden.sizes(), hidden.options());
           const double factor = scale * dy[0].item<double>();
           std::int64_t blocks_left = std::max<std::int64_t>(
               1, (hidden.size(0) + rows_of_block(w_VD.size(0)) - 1) / rows_of_block(w_VD.size(0)));
           const auto hand_over = [&](std::int64_t begin, std::int64_t rows,
                                      const at::Tensor& d_logits) {
             if (context.sink == nullptr) return;
             if (--blocks_left > 0) context.expect(head);  // one more use for each further block
             context.sink->accumulate({ParameterUse::Kind::kLinear,
                                       head,
                                       hidden.narrow(0, begin, rows),
                                       d_logits,
                                       context.batch.example_id_T.narrow(0, begin, rows),
                                       {}});
           };
           for_each_block(
               context, hidden, w_VD,
               [&](std::int64_t begin, std::int64_t rows, const at::Tensor& logits) {
                 const at::Tensor targets = targets_T.narrow(0, begin, rows);
                 at::Tensor d_logits = at::softmax(logits, 1);
                 const at::Tensor column = column_of(targets);
                 d_logits.scatter_add_(1, column, at::full(column.sizes(), -1, d_logits.options()));
                 d_logits.mul_(factor).masked_fill_(targets.lt(0).unsqueeze(1), 0);
                 const at::Tensor narrow = d_logits.to(hidden.scalar_type());
                 d_hidden.narrow(0, begin, rows).copy_(product(narrow, w_VD.t(), context.matmul));
                 hand_over(begin, rows, narrow);
               });
           if (hidden.size(0) == 0) hand_over(0, 0, at::empty({0, w_VD.size(0)}, hidden.options()));
           return {d_hidden};
         });
  return {loss, sum * scale};
}

}  // namespace moesaic
