#include "comm/mpi/mpi_exchange.h"

#include <algorithm>
#include <cstring>

namespace moesaic {
namespace {

// MPI moves a few fragments of each message whenever it is polled. Many messages under way move
// many, so that a transfer keeps pace when it is polled only between the products of a forward or
// backward pass.
constexpr std::int64_t kMessageBytes = 256 * 1024;

/// Calls start(data, bytes, request) for each message of `piece`.
template <class Start>
void for_each_message(MpiOperation& operation, const Piece& piece, const Start& start) {
  for (std::int64_t begin = 0; begin < piece.bytes; begin += kMessageBytes) {
    const auto bytes = static_cast<int>(std::min(kMessageBytes, piece.bytes - begin));
    check_mpi(start(piece.data + begin, bytes, &operation.requests.emplace_back(MPI_REQUEST_NULL)),
              operation.where());
  }
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
    for_each_message(operation, receive[static_cast<std::size_t>(peer)],
                     [&](std::byte* data, int bytes, MPI_Request* request) {
                       return MPI_Irecv(data, bytes, MPI_BYTE, peer, tag, comm, request);
                     });
  }
  for (int step = 1; step < operation.size; ++step) {
    const int peer = (operation.rank + step) % operation.size;
    for_each_message(operation, send[static_cast<std::size_t>(peer)],
                     [&](std::byte* data, int bytes, MPI_Request* request) {
                       return MPI_Isend(data, bytes, MPI_BYTE, peer, tag, comm, request);
                     });
  }
  const auto me = static_cast<std::size_t>(operation.rank);
  if (send[me].bytes > 0 && send[me].data != receive[me].data) {
    std::memcpy(receive[me].data, send[me].data, static_cast<std::size_t>(send[me].bytes));
  }
}

}  // namespace moesaic
