// AdamW's decoupled decay with anchors: what would pull a weight to zero pulls it to its anchor.
#pragma once

#include <memory>

#include "continual/remembered.h"
#include "optim/optimizer.h"

namespace moesaic {

/// Around an optimizer that decays weights by learning_rate * weight_decay a step: they decay to
/// what is remembered, once something is, so that w <- w - rate weight_decay (w - anchor) - ...
/// Factors of low-rank changes decay to zero: no change. `remembered` must outlive it. Local.
std::unique_ptr<Optimizer> decaying_to_anchors(std::unique_ptr<Optimizer> optimizer,
                                               const Remembered& remembered, double weight_decay);

}  // namespace moesaic
