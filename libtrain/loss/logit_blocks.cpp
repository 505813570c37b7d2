#include "loss/logit_blocks.h"

#include <ATen/ops/empty.h>

#include <algorithm>

#include "core/error.h"

namespace moesaic {
namespace {

constexpr std::int64_t kBlockValues = 8 << 20;  // of logits at a time
constexpr std::int64_t kLeastRows = 64;         // of a block: fewer make slow products

std::int64_t rows_of_block(std::int64_t vocabulary) {
  return std::max(kLeastRows, kBlockValues / vocabulary);
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
  for_each_logit_block(context, head.matrix(context, hidden.scalar_type()), hidden, visit);
}

at::Tensor backward_through_head(const ForwardContext& context, const Linear& head,
                                 const at::Tensor& hidden_TD, const LogitGradient& gradient) {
  // An adapter beside the head would need the gradient of its output.
  MOESAIC_ASSERT(!head.has_adapter());
  const at::Tensor hidden = hidden_TD.detach();
  const at::Tensor w_VD = head.matrix(context, hidden.scalar_type());
  const at::Tensor d_hidden_TD = at::empty(hidden.sizes(), hidden.options());
  const auto piece = [&context, &head, hidden](std::int64_t begin, const at::Tensor& d_logits) {
    const std::int64_t rows = d_logits.size(0);
    return ParameterUse{.kind = ParameterUse::Kind::kLinear,
                        .parameter = head.weight(),
                        .input = hidden.narrow(0, begin, rows),
                        .output_gradient = d_logits,
                        .example_R = context.batch.example_id_T.narrow(0, begin, rows),
                        .passing = true};
  };
  const bool wanted = context.open(head.weight());
  for_each_logit_block(context, w_VD, hidden, [&](std::int64_t begin, const at::Tensor& logits) {
    gradient(begin, logits);
    product_into(logits, w_VD.t(), context.matmul, d_hidden_TD.narrow(0, begin, logits.size(0)));
    if (wanted) context.sink->add(piece(begin, logits));
    context.world.progress();
  });
  if (!wanted) return d_hidden_TD;
  context.sink->close(head.weight(), [&context, w_VD, hidden, gradient, piece](const auto& take) {
    for_each_logit_block(context, w_VD, hidden, [&](std::int64_t begin, const at::Tensor& logits) {
      gradient(begin, logits);
      take(piece(begin, logits));
    });
  });
  return d_hidden_TD;
}

}  // namespace moesaic
