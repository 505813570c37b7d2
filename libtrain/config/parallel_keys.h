// The keys of the section parallel, for every struct that has one.
#pragma once

#include <vector>

#include "config/schema_builder.h"

namespace moesaic {

template <class Owner>
void add_parallel_keys(std::vector<KeyOf<Owner>>& keys) {
  using namespace rules;
  constexpr double kMostRanks = 1e6;
  add_key(keys, FIELD(parallel.ranks), from(1, kMostRanks),
          "MPI ranks; -n on the command line goes first.");
  add_key(keys, FIELD(parallel.expert), from(1, kMostRanks),
          "Ranks that share one set of experts; divides the ranks and num_experts.");
  add_key(keys, FIELD(parallel.threads_per_rank), from(0, 4096),
          "Threads of a rank; 0 = cores / ranks on the node.");
  add_key(keys, FIELD(parallel.timeout_s), {.least = 0, .most = 1e9, .above_least = true},
          "Seconds after which the watchdog ends a collective that does not finish.");
  add_key(keys, FIELD(parallel.device), one_of({"cpu", "cuda"}), "Where the ranks compute.");
  add_key(keys, FIELD(parallel.shard_optimizer), {},
          "Each rank keeps a part of the optimizer's state alone, and updates that part of the "
          "weights (docs/memory.md). Never changes the mathematics.");
}

}  // namespace moesaic
