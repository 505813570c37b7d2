// Threads of this rank.
#pragma once

#include <cstdint>

namespace moesaic::worker {

/// Sets and returns the threads LibTorch computes with: `wanted`, or with 0 what OMP_NUM_THREADS
/// says, or this rank's share of the cores it may run on.
int use_threads(std::int64_t wanted, int ranks_on_this_machine);

/// The cores that this rank may run on: those that it is bound to, or all.
int cores_of_rank();

}  // namespace moesaic::worker
