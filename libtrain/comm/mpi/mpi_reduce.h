// Reductions: the exchange moves the data, ATen adds it up, always in rank order. So all ranks get
// the same bits, and neither the size, the algorithm nor the MPI library changes them.
#pragma once

#include "comm/mpi/mpi_exchange.h"

namespace moesaic {

/// Starts the reduction of `tensor` in place; uses the tags `tag` and `tag` + 1.
void start_all_reduce(MpiOperation& operation, const at::Tensor& tensor, ReduceOp op, int tag);

/// Starts result = sum over the ranks of what each has for this rank. `slices` are what this rank
/// has for each, `own` is the one for itself; `result` may be `own`.
void start_reduce_scatter(MpiOperation& operation, const std::vector<Piece>& slices,
                          const at::Tensor& own, const at::Tensor& result, int tag);

}  // namespace moesaic
