// Reductions: the exchange moves the data, ATen adds it up, always in rank order. So all ranks get
// the same bits, and neither the size, the algorithm nor the MPI library changes them.
#pragma once

#include "comm/mpi/mpi_operation.h"

namespace moesaic {

/// Starts the reduction of `tensor` in place; uses the tags `tag` and `tag` + 1.
void start_all_reduce(MpiOperation& operation, const at::Tensor& tensor, ReduceOp op, int tag);

/// Starts mine = sum over the ranks of their slice for this rank.
void start_reduce_scatter(MpiOperation& operation, const at::Tensor& all, const at::Tensor& mine,
                          int tag);

}  // namespace moesaic
