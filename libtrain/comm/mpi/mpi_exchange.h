// The data movement under all large collectives: each rank sends a piece to each rank. Point to
// point, so that sizes have no limit, MPI does no arithmetic, and every MPI library gives the same
// bits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "comm/mpi/mpi_operation.h"

namespace moesaic {

/// Consecutive bytes of host memory.
struct Piece {
  std::byte* data = nullptr;
  std::int64_t bytes = 0;
};

/// Part of a contiguous tensor.
Piece piece_of(const at::Tensor& tensor, std::int64_t first_element, std::int64_t num_elements);
Piece piece_of(const at::Tensor& tensor);

/// Starts sending piece r of `send` to rank r and receiving piece r of `receive` from rank r. Empty
/// pieces do not travel; the two pieces of this rank must be equally long and are copied unless
/// they are the same.
void start_exchange(MpiOperation& operation, const std::vector<Piece>& send,
                    const std::vector<Piece>& receive, int tag);

}  // namespace moesaic
