#include "comm/mpi/mpi_exchange.h"

#include <cstring>
#include <limits>

namespace moesaic {
namespace {

/// MPI 3 counts with int; what is longer travels as one value of a derived type.
struct Typed {
  int count;
  MPI_Datatype type;
};

Typed typed(MpiOperation& operation, std::int64_t bytes) {
  if (bytes <= std::numeric_limits<int>::max()) return {static_cast<int>(bytes), MPI_BYTE};
  return {1, operation.types.emplace_back(bytes).get()};
}

}  // namespace

Piece piece_of(const at::Tensor& tensor, std::int64_t first_element, std::int64_t num_elements) {
  const auto element = static_cast<std::int64_t>(tensor.element_size());
  // A read-only caller's tensor too: MPI takes both through the same piece.
  auto* data = static_cast<std::byte*>(const_cast<void*>(tensor.const_data_ptr()));
  return {data + first_element * element, num_elements * element};
}

Piece piece_of(const at::Tensor& tensor) { return piece_of(tensor, 0, tensor.numel()); }

void start_exchange(MpiOperation& operation, const std::vector<Piece>& send,
                    const std::vector<Piece>& receive, int tag) {
  const MPI_Comm comm = operation.comm->get();
  // Each rank begins with its right neighbour, so that not all of them press on rank 0 first.
  for (int step = 1; step < operation.size; ++step) {
    const int peer = (operation.rank + operation.size - step) % operation.size;
    const Piece& piece = receive[static_cast<std::size_t>(peer)];
    if (piece.bytes == 0) continue;
    const Typed t = typed(operation, piece.bytes);
    check_mpi(MPI_Irecv(piece.data, t.count, t.type, peer, tag, comm,
                        &operation.requests.emplace_back(MPI_REQUEST_NULL)),
              operation.where());
  }
  for (int step = 1; step < operation.size; ++step) {
    const int peer = (operation.rank + step) % operation.size;
    const Piece& piece = send[static_cast<std::size_t>(peer)];
    if (piece.bytes == 0) continue;
    const Typed t = typed(operation, piece.bytes);
    check_mpi(MPI_Isend(piece.data, t.count, t.type, peer, tag, comm,
                        &operation.requests.emplace_back(MPI_REQUEST_NULL)),
              operation.where());
  }
  const auto me = static_cast<std::size_t>(operation.rank);
  if (send[me].bytes > 0 && send[me].data != receive[me].data) {
    std::memcpy(receive[me].data, send[me].data, static_cast<std::size_t>(send[me].bytes));
  }
}

}  // namespace moesaic
