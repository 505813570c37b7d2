#include "loss/logit_blocks.h"

#include <ATen/ops/empty.h>

#include <algorithm>

#include "core/error.h"

namespace moesaic {
namespace {

constexpr std::int64_t kBlockValues = 8 << 20;  // of logits at a time
// Of a block: each brings the head's matrix into place once more.
constexpr std::int64_t kLeastRows = 256;

constexpr double kNever = -1e30;  // probability 0; the difference of two is a number

std::int64_t rows_of_block(std::int64_t vocabulary) {
  return std::max(kLeastRows, kBlockValues / vocabulary);
}

// Outputs that the rows from `begin` on may not have become `value`.
void fill_others(const Batch& batch, std::int64_t begin, at::Tensor logits, double value) {
  if (!batch.allowed_TV.defined()) return;
  logits.masked_fill_(batch.allowed_TV.narrow(0, begin, logits.size(0)).logical_not(), value);
}

// Products with the head's matrix become logits.
void complete(const ForwardContext& context, const Linear& head, std::int64_t begin,
              at::Tensor logits) {
  if (head.bias() != nullptr) logits.add_(head.bias()->tensor);
  fill_others(context.batch, begin, logits, kNever);
}

// The gradient of what is minimised with respect to each block of logits, in order.
void for_each_gradient(const ForwardContext& context, const Linear& head, const at::Tensor& w_VD,
                       const at::Tensor& hidden_TD, const LogitGradient& gradient,
                       const VisitLogits& visit) {
  for_each_logit_block(context, w_VD, hidden_TD, [&](std::int64_t begin, const at::Tensor& logits) {
    complete(context, head, begin, logits);
    gradient(begin, logits);
    fill_others(context.batch, begin, logits, 0);
    visit(begin, logits);
  });
}

}  // namespace

void for_each_logit_block(const ForwardContext& context, const at::Tensor& w_VD,
                          const at::Tensor& hidden_TD, const VisitLogits& visit) {
  const std::int64_t tokens = hidden_TD.size(0), step = rows_of_block(w_VD.size(0));
  const at::Tensor block = at::empty({std::min(step, tokens), w_VD.size(0)}, hidden_TD.options());
  for (std::int64_t begin = 0; begin < tokens; begin += step) {
    const std::int64_t rows = std::min(step, tokens - begin);
    const at::Tensor logits = block.narrow(0, 0, rows);
    product_into(hidden_TD.narrow(0, begin, rows), w_VD, context.matmul, logits);
    context.world.progress();
    visit(begin, logits);
  }
}

void for_each_logit_block(const ForwardContext& context, const Linear& head,
                          const at::Tensor& hidden_TD, const VisitLogits& visit) {
  const at::Tensor hidden = hidden_TD.detach();
  const at::Tensor w_VD = head.matrix(context, hidden.scalar_type());
  for_each_logit_block(context, w_VD, hidden, [&](std::int64_t begin, const at::Tensor& logits) {
    complete(context, head, begin, logits);
    visit(begin, logits);
  });
}

at::Tensor backward_through_head(const ForwardContext& context, const Linear& head,
                                 const at::Tensor& hidden_TD, const LogitGradient& gradient) {
  // An adapter beside the head would need the gradient of its output.
  MOESAIC_ASSERT(!head.has_adapter());
  const at::Tensor hidden = hidden_TD.detach();
  const at::Tensor w_VD = head.matrix(context, hidden.scalar_type());
  const at::Tensor d_hidden_TD = at::empty(hidden.sizes(), hidden.options());
  const auto weight_piece = [&context, &head, hidden](std::int64_t begin, const at::Tensor& d) {
    return ParameterUse{.kind = ParameterUse::Kind::kLinear,
                        .parameter = head.weight(),
                        .input = hidden.narrow(0, begin, d.size(0)),
                        .output_gradient = d,
                        .example_R = context.batch.example_id_T.narrow(0, begin, d.size(0)),
                        .passing = true};
  };
  const auto bias_piece = [&context, &head](std::int64_t begin, const at::Tensor& d) {
    return ParameterUse{.kind = ParameterUse::Kind::kBias,
                        .parameter = *head.bias(),
                        .input = {},
                        .output_gradient = d,
                        .example_R = context.batch.example_id_T.narrow(0, begin, d.size(0)),
                        .passing = true};
  };
  const bool wanted = context.open(head.weight());
  const bool bias_wanted = head.bias() != nullptr && context.open(*head.bias());
  for_each_gradient(
      context, head, w_VD, hidden, gradient, [&](std::int64_t begin, const at::Tensor& d) {
        product_into(d, w_VD.t(), context.matmul, d_hidden_TD.narrow(0, begin, d.size(0)));
        if (wanted) context.sink->add(weight_piece(begin, d));
        if (bias_wanted) context.sink->add(bias_piece(begin, d));
        context.world.progress();
      });
  const auto finish = [&](const Parameter& parameter, const auto& piece) {
    context.sink->close(parameter, [&context, &head, w_VD, hidden, gradient,
                                    piece](const auto& take) {
      for_each_gradient(context, head, w_VD, hidden, gradient,
                        [&](std::int64_t begin, const at::Tensor& d) { take(piece(begin, d)); });
    });
  };
  if (wanted) finish(head.weight(), weight_piece);
  if (bias_wanted) finish(*head.bias(), bias_piece);
  return d_hidden_TD;
}

}  // namespace moesaic
