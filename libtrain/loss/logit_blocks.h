// Logits block by block: all of them never exist at once. What the cross entropy uses, and what
// else compares or draws from the model's distribution (distillation, sampled labels).
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>

#include "nn/linear.h"

namespace moesaic {

/// One block: rows [begin, begin + logits.size(0)) of the hidden states. Logits [rows, V] in the
/// dtype of the hidden states; they may be changed and are gone at the next block. Outputs that a
/// row may not have (Batch::allowed_TV) have the logit -1e30, which is a probability of 0.
using VisitLogits = std::function<void(std::int64_t begin, const at::Tensor& logits)>;

/// hidden_TD times the head, and its bias, in blocks of rows in order; nothing without rows. The
/// rows are those of the context's batch. Not in the graph. Local.
void for_each_logit_block(const ForwardContext& context, const Linear& head,
                          const at::Tensor& hidden_TD, const VisitLogits& visit);

/// The products with the rows of a matrix in the dtype of the hidden states, [V, D], alone.
void for_each_logit_block(const ForwardContext& context, const at::Tensor& w_VD,
                          const at::Tensor& hidden_TD, const VisitLogits& visit);

/// Makes the logits of a block the gradient of what is minimised with respect to them.
using LogitGradient = VisitLogits;

/// Goes through the blocks once, turns logits into their gradient, and hands the gradients of the
/// head and its bias over in pieces, to be had again within the round. Outputs that a row may not
/// have get none. -> the gradient of hidden_TD.
at::Tensor backward_through_head(const ForwardContext& context, const Linear& head,
                                 const at::Tensor& hidden_TD, const LogitGradient& gradient);

}  // namespace moesaic
