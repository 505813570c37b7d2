// A sum over all trained values of a model, each counted once.
#pragma once

#include <string>

#include "parallel/parameter_set.h"
#include "parallel/rank_context.h"

namespace moesaic {

/// What this rank has summed over the entries of a gradient.
struct PartialSums {
  double dense = 0;
  double experts = 0;
};

/// For a part that is on every rank that holds the parameter though gradients are spread: whether
/// this rank is the one that counts it.
inline bool counts_here(const RankContext& context, Scope scope, bool spread) {
  const Communicator& holders = scope == Scope::kDense ? context.world : context.expert_data;
  return !spread || holders.rank() == 0;
}

/// Dense values are on every rank, experts on those of an expert group; `spread`: each value is on
/// one rank alone (parallel/gradients.h). Collective over world; all ranks get the same bits.
double global_sum(const RankContext& context, const PartialSums& sums, bool spread,
                  const std::string& label);

}  // namespace moesaic
