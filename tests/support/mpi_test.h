// What the tests of tests/mpi share. Every rank runs every test; a test calls collectives alike on
// all.
#pragma once

#include <vector>

#include "comm/communicator.h"
#include "comm/mpi/mpi_world.h"
#include "parallel/rank_context.h"

namespace moesaic::test {

/// The MPI session of this program.
const MpiSession& session();

/// Collective over all ranks. A new world with a time-out of 60 s whose collectives are compared
/// first.
Communicator world();
Communicator world(const CommOptions& options, const Watchdog::Options& watchdog = {});

/// Collective over all ranks. The groups for this expert size, which must divide the number of
/// ranks.
RankContext context(int expert_size);

/// All expert sizes that the number of ranks allows.
std::vector<int> expert_sizes();

}  // namespace moesaic::test
