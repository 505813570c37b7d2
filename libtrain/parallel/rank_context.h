// RankContext: the groups and the device of this rank. Made once, passed by const reference; no
// globals.
#pragma once

#include <c10/core/Device.h>

#include "comm/communicator.h"
#include "core/log.h"
#include "parallel/plan.h"

namespace moesaic {

struct RankContext {
  Plan plan;
  Communicator world;        // all ranks: dense gradients
  Communicator expert;       // the all-to-all group
  Communicator expert_data;  // ranks with the same experts: their gradients
  Log log;
  at::Device device = at::kCPU;  // of parameters and activations

  /// Collective over world: splits it.
  static RankContext make(const Communicator& world, const Plan& plan, const Log& log,
                          at::Device device = at::kCPU);
  /// One process, no MPI.
  static RankContext single();

  int rank() const { return world.rank(); }
  bool is_chief() const { return world.is_chief(); }
};

}  // namespace moesaic
