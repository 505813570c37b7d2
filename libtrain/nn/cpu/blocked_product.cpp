#include "nn/cpu/blocked_product.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include <algorithm>

#include "nn/cpu/tile_product.h"

namespace moesaic::cpu {
namespace {

constexpr std::int64_t kRows = 64;      // of a tile of the result
constexpr std::int64_t kColumns = 256;  // of a tile of the result
constexpr std::int64_t kDepth = 512;    // of one product of tiles

struct Matrix {
  float* data;
  std::int64_t rows, columns, ld;

  explicit Matrix(const at::Tensor& x)
      : data(const_cast<float*>(x.const_data_ptr<float>())),
        rows(x.size(0)),
        columns(x.size(1)),
        ld(x.stride(0)) {}
  float* at(std::int64_t row, std::int64_t column) const { return data + row * ld + column; }
};

// Calls visit(begin, n) for pieces of [0, total): whole ones, then halves down to 16, then the
// rest, because the micro-kernel keeps code for each size.
template <class Visit>
void for_each_piece(std::int64_t total, std::int64_t whole, const Visit& visit) {
  std::int64_t begin = 0;
  for (std::int64_t piece = whole; begin < total;) {
    while (piece > 16 && piece > total - begin) piece /= 2;
    const std::int64_t n = std::min(piece, total - begin);
    visit(begin, n);
    begin += n;
  }
}

// out (+)= a b for one block of columns, whose operand is b [K, columns].
void multiply_rows(const Matrix& a, const float* b, std::int64_t ldb, std::int64_t depth_begin,
                   std::int64_t depth, std::int64_t column, std::int64_t columns,
                   const Matrix& out) {
  const auto blocks = (a.rows + kRows - 1) / kRows;
  at::parallel_for(0, blocks, 4, [&](std::int64_t first, std::int64_t last) {
    const std::int64_t begin = first * kRows;
    for_each_piece(
        std::min(last * kRows, a.rows) - begin, kRows, [&](std::int64_t row, std::int64_t n) {
          tile_product({n, columns, depth, a.ld, ldb, out.ld}, a.at(begin + row, depth_begin), b,
                       out.at(begin + row, column), depth_begin > 0);
        });
  });
}

}  // namespace

void product_transposed(const at::Tensor& a_MK, const at::Tensor& b_NK, const at::Tensor& out_MN) {
  const Matrix a(a_MK), b(b_NK), out(out_MN);
  const at::Tensor panel = at::empty({kDepth * kColumns}, a_MK.options());
  float* const packed = panel.mutable_data_ptr<float>();
  for_each_piece(b.rows, kColumns, [&](std::int64_t column, std::int64_t columns) {
    for_each_piece(b.columns, kDepth, [&](std::int64_t begin, std::int64_t depth) {
      transpose_tile(columns, depth, b.at(column, begin), b.ld, packed, columns);
      multiply_rows(a, packed, columns, begin, depth, column, columns, out);
    });
  });
}

void product_plain(const at::Tensor& a_MK, const at::Tensor& b_KN, const at::Tensor& out_MN) {
  const Matrix a(a_MK), b(b_KN), out(out_MN);
  for_each_piece(b.columns, kColumns, [&](std::int64_t column, std::int64_t columns) {
    for_each_piece(b.rows, kDepth, [&](std::int64_t begin, std::int64_t depth) {
      multiply_rows(a, b.at(begin, column), b.ld, begin, depth, column, columns, out);
    });
  });
}

void add_product_of_rows(const at::Tensor& a_TM, const at::Tensor& b_TN, const at::Tensor& sum_MN) {
  const Matrix a(a_TM), b(b_TN), sum(sum_MN);
  constexpr std::int64_t kTokens = 256;
  for_each_piece(a.rows, kTokens, [&](std::int64_t token, std::int64_t tokens) {
    at::parallel_for(
        0, (a.columns + kRows - 1) / kRows, 1, [&](std::int64_t first, std::int64_t last) {
          const at::Tensor panel = at::empty({kRows * kTokens}, a_TM.options());
          float* const packed = panel.mutable_data_ptr<float>();
          const std::int64_t begin = first * kRows;
          for_each_piece(
              std::min(last * kRows, a.columns) - begin, kRows,
              [&](std::int64_t row, std::int64_t n) {
                transpose_tile(tokens, n, a.at(token, begin + row), a.ld, packed, tokens);
                for_each_piece(
                    b.columns, 2 * kColumns, [&](std::int64_t column, std::int64_t columns) {
                      tile_product({n, columns, tokens, tokens, b.ld, sum.ld}, packed,
                                   b.at(token, column), sum.at(begin + row, column), true);
                    });
              });
        });
  });
}

}  // namespace moesaic::cpu
