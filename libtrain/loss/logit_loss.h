// A loss of the logits of each row, by the output head: what the cross entropy and the distance
// from another model's outputs have in common.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>

#include "loss/loss_term.h"

namespace moesaic {

/// Rows [begin, begin + logits.size(0)): writes the loss of each to `loss` and makes the logits the
/// gradient of `factor` times the loss. Both are 0 for rows without a target.
using RowLosses = std::function<void(std::int64_t begin, const at::Tensor& logits, double factor,
                                     const at::Tensor& loss)>;

/// The sum of the rows' losses x scale: in the metric as it is, in the loss times `coefficient`.
/// The logits are the largest tensor of a step, so that loss and gradients come from one pass over
/// them: they are neither kept for the backward pass nor computed twice. `rows` may be called once
/// more for the head's gradient, within the round.
TermValue logit_loss(const char* name, const StepView& view, const at::Tensor& hidden_TD,
                     double scale, double coefficient, const RowLosses& rows);

/// Each row's loss and gradient times its weight.
void weigh_rows(const at::Tensor& weight_T, at::Tensor logits, at::Tensor loss_T);

/// 1 / the target tokens of the step.
double per_target(const StepSize& step);

}  // namespace moesaic
