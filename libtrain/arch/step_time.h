// How long a step takes on devices of given figures: a prediction by arithmetic, for `plan`.
//
// A step is products, passes over memory, and communication that neither hides:
//   products  max(FLOPs / product rate, bytes of the weights / memory rate), for each round; those
//             of attention reach a share of the rate on a core, where exponentials are between
//             them;
//   memory    kForwardPasses over the values that a layer makes, kBackwardPasses on the way back,
//             gradients added up, frozen weights that are kept in another form converted for each
//             use; on a device attention's scores, as often as nn/attention.cpp passes over them;
//             once a step the optimizer;
//   exposed   all-to-alls, the gather of a sharded optimizer, and of the gradients' reduction what
//             the last round's backward does not hide.
// Products and passes are done one after the other by one device, so their times add up. The two
// numbers of passes are those with which the step times in docs/results/speed.md and scaling.md
// come out best; the share of attention is that of its single operation there.
#pragma once

#include "arch/cost.h"
#include "arch/device.h"

namespace moesaic::arch {

inline constexpr double kForwardPasses = 4, kBackwardPasses = 7;

/// Seconds.
struct StepTime {
  double products = 0;
  double memory = 0;
  double exposed = 0;

  double total() const { return products + memory + exposed; }
};

/// Of a training step; `cost` is cost_of(options, table, sizes). The slowest rank: one that has a
/// micro-batch in every round.
StepTime training_time(const Options& options, const ParameterTable& table,
                       const CostOptions& sizes, const Cost& cost, const Device& device);

}  // namespace moesaic::arch
