#include "comm/mpi/mpi_reduce.h"

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/minimum.h>

#include <algorithm>

#include "comm/mpi/mpi_exchange.h"

namespace moesaic {
namespace {

// Up to here everyone sends everything to everyone: one latency instead of two.
constexpr std::int64_t kSmallBytes = 8192;

/// Row of what rank r sent to `rank`, whose own values are not among the rows.
std::int64_t row_of(int r, int rank) { return r < rank ? r : r - 1; }

/// result = op over the ranks of: own on `rank`, its row of `others` on another. Overwrites
/// `others`.
void reduce_in_rank_order(const at::Tensor& result, const at::Tensor& own, at::Tensor others,
                          int rank, ReduceOp op) {
  // May run inside a backward pass, from progress(): nothing here is for autograd.
  const at::AutoDispatchBelowADInplaceOrView no_autograd;
  at::Tensor sum = rank == 0 ? result : others[0];
  if (rank == 0 && !result.is_same(own)) sum.copy_(own);
  for (int r = 1; r <= others.size(0); ++r) {
    const at::Tensor term = r == rank ? own : others[row_of(r, rank)];
    switch (op) {
      case ReduceOp::kSum:
        sum.add_(term);
        break;
      case ReduceOp::kMax:
        at::maximum_out(sum, sum, term);
        break;
      case ReduceOp::kMin:
        at::minimum_out(sum, sum, term);
        break;
    }
  }
  if (rank != 0) result.copy_(sum);
}

/// The elements of a flat tensor that a rank reduces in the two-stage algorithm.
struct Slice {
  std::int64_t begin;
  std::int64_t count;
};

Slice slice_of(std::int64_t numel, int size, int rank) {
  constexpr std::int64_t kAlign = 16;  // whole cache lines
  const std::int64_t each = ((numel + size - 1) / size + kAlign - 1) / kAlign * kAlign;
  const std::int64_t begin = std::min(rank * each, numel);
  return {begin, std::min(each, numel - begin)};
}

/// A row for what each other rank sends, and `own`.
std::vector<Piece> rows_with_own(const MpiOperation& operation, const at::Tensor& rows,
                                 const Piece& own) {
  std::vector<Piece> pieces;
  const std::int64_t width = rows.size(1);
  for (int r = 0; r < operation.size; ++r) {
    pieces.push_back(
        r == operation.rank ? own : piece_of(rows, row_of(r, operation.rank) * width, width));
  }
  return pieces;
}

void start_small(MpiOperation& operation, const at::Tensor& flat, ReduceOp op, int tag) {
  const at::Tensor others = at::empty({operation.size - 1, flat.numel()}, flat.options());
  operation.tensors.push_back(others);
  const Piece own = piece_of(flat);
  start_exchange(operation, std::vector<Piece>(static_cast<std::size_t>(operation.size), own),
                 rows_with_own(operation, others, own), tag);
  operation.then = [flat, others, op](MpiOperation& done) {
    reduce_in_rank_order(flat, flat, others, done.rank, op);
  };
}

/// Every rank reduces its slice, then everyone gets all slices.
void start_large(MpiOperation& operation, const at::Tensor& flat, ReduceOp op, int tag) {
  std::vector<Piece> slices;
  for (int r = 0; r < operation.size; ++r) {
    const Slice slice = slice_of(flat.numel(), operation.size, r);
    slices.push_back(piece_of(flat, slice.begin, slice.count));
  }
  const Slice mine = slice_of(flat.numel(), operation.size, operation.rank);
  const at::Tensor own = flat.narrow(0, mine.begin, mine.count);
  const at::Tensor others = at::empty({operation.size - 1, mine.count}, flat.options());
  operation.tensors.push_back(others);
  const Piece own_piece = slices[static_cast<std::size_t>(operation.rank)];
  start_exchange(operation, slices, rows_with_own(operation, others, own_piece), tag);
  operation.then = [own, others, op, slices, own_piece, tag](MpiOperation& stage) {
    reduce_in_rank_order(own, own, others, stage.rank, op);
    start_exchange(stage, std::vector<Piece>(slices.size(), own_piece), slices, tag + 1);
  };
}

}  // namespace

void start_all_reduce(MpiOperation& operation, const at::Tensor& tensor, ReduceOp op, int tag) {
  const at::AutoDispatchBelowADInplaceOrView no_autograd;
  operation.tensors = {tensor};
  if (tensor.numel() == 0) return;
  const bool small = static_cast<std::int64_t>(tensor.nbytes()) <= kSmallBytes;
  (small ? start_small : start_large)(operation, tensor.view(-1), op, tag);
}

void start_reduce_scatter(MpiOperation& operation, const std::vector<Piece>& slices,
                          const at::Tensor& own, const at::Tensor& result, int tag) {
  const at::AutoDispatchBelowADInplaceOrView no_autograd;
  const at::Tensor others = at::empty({operation.size - 1, own.numel()}, own.options());
  operation.tensors = {own, result, others};
  start_exchange(operation, slices, rows_with_own(operation, others, piece_of(own)), tag);
  if (own.numel() == 0) return;  // this rank only gives
  operation.then = [own = own.view(-1), result = result.view(-1), others](MpiOperation& done) {
    reduce_in_rank_order(result, own, others, done.rank, ReduceOp::kSum);
  };
}

}  // namespace moesaic
