// The gradient of the examples' log-likelihoods with respect to the logits, for labels of every
// kind, and the rows of the output head that it is of.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "continual/fisher.h"

namespace moesaic {

/// R rows of the output head, example after example: each example's tokens, then the same once more
/// for each depth of multi-token prediction.
struct HeadRows {
  at::Tensor hidden_RD;  // in the graph
  at::Tensor target_R;   // the data's, or kNoTarget
  at::Tensor uniform_R;  // [0, 1), float64: decides a label that is drawn
  at::Tensor weight_R;   // of the row's loss in that of its example, float64
  at::Tensor example_R;  // int64
};

/// `batch`: micro-batch of a sample (continual/fisher_sample.h), `output`: what the model made of
/// it. A drawn label is a function of (seed, example, position, depth). Local.
HeadRows head_rows(const Batch& batch, const ModelOutput& output, const FisherRequest& request);

/// Rows [begin, begin + logits.size(0)): makes the logits the gradient of the loss, or of the
/// squared length of the outputs, of the rows that have a target. `label`: kExact, the label whose
/// part it is: the gradient times the square root of its probability. Computed as `wide`.
void make_label_gradient(const HeadRows& rows, FisherLabels labels, std::int64_t label,
                         at::ScalarType wide, std::int64_t begin, const at::Tensor& logits);

}  // namespace moesaic
