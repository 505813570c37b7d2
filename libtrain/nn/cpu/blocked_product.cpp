#include "nn/cpu/blocked_product.h"

#include <algorithm>
#include <vector>

#include "nn/cpu/buffer.h"
#include "nn/cpu/dtypes.h"
#include "nn/cpu/tile_layout.h"
#include "nn/cpu/tile_product.h"
#include "parallel/threads.h"

namespace moesaic::cpu {
namespace {

using c10::BFloat16;

template <class T>
constexpr bool kNarrow = std::is_same_v<T, BFloat16>;

// Sizes of a tile of the result and of the depth of one product. A bfloat16 product takes so little
// time that its operands and sums must be fetched and stored less often.
constexpr std::int64_t kRows = 64;
constexpr std::int64_t kFewRows = 4 * kRows;  // up to which threads share columns, not rows
constexpr std::int64_t kPackedColumns = 64;   // of a thread's smallest share
constexpr std::int64_t kProductsAtOnce = 16;  // of an operation
template <class T>
constexpr std::int64_t kColumns = kNarrow<T> ? 512 : 256;
template <class T>
constexpr std::int64_t kDepth = kNarrow<T> ? 1024 : 512;
template <class T>
constexpr std::int64_t kTokens = kNarrow<T> ? 1024 : 256;  // the depth of add_product_of_rows

struct Piece {
  std::int64_t begin, size;
};

template <class T>
struct Matrix {
  T* data;
  std::int64_t rows, columns, ld;

  explicit Matrix(const at::Tensor& x)
      : data(const_cast<T*>(x.const_data_ptr<T>())),
        rows(x.size(0)),
        columns(x.size(1)),
        ld(x.size(0) == 1 ? (columns + 1) / 2 * 2 : x.stride(0)) {}  // of one row any that fits
  T* at(std::int64_t row, std::int64_t column) const { return data + row * ld + column; }
};

// Rows of a thread's smallest share, each of so many products.
std::int64_t rows_of_part(std::int64_t products) {
  return kRows * worth_a_thread(kRows * products / kProductsAtOnce);
}

// Calls visit(piece) for pieces of [0, total): whole ones, then halves down to 16, then the rest,
// because the micro-kernel keeps code for each size.
template <class Visit>
void for_each_piece(std::int64_t total, std::int64_t whole, const Visit& visit) {
  std::int64_t begin = 0;
  for (std::int64_t piece = whole; begin < total;) {
    while (piece > 16 && piece > total - begin) piece /= 2;
    const std::int64_t n = std::min(piece, total - begin);
    visit(Piece{begin, n});
    begin += n;
  }
}

// The same for a depth that is filled up by zeros, where that is cheaper than small pieces.
template <class T, class Visit>
void for_each_depth(std::int64_t total, std::int64_t whole, const Visit& visit) {
  if constexpr (kNarrow<T>) {
    for (std::int64_t begin = 0; begin < total; begin += whole)
      visit(Piece{begin, std::min(whole, total - begin)});
  } else {
    for_each_piece(total, whole, visit);
  }
}
template <class T>
std::int64_t padded_depth(std::int64_t n) {
  return kNarrow<T> ? (n + 63) / 64 * 64 : n;
}

// One block of columns of out = a b, or out += a b, a piece of the depth at a time.
template <class T>
class ColumnBlock {
 public:
  ColumnBlock(const Matrix<T>& a, const Matrix<T>& out, Piece columns, bool add)
      : a_(a),
        out_(out),
        columns_(columns),
        add_(add),
        sums_(kNarrow<T> && a.columns > kDepth<T> ? a.rows * columns.size : 0) {}

  /// b: right operand of this piece.
  void multiply(Piece depth, const T* b, std::int64_t ldb) const {
    on_threads(a_.rows, rows_of_part(depth.size * columns_.size),
               [&](std::int64_t begin, std::int64_t end) {
                 const TileRegion region;
                 const Buffer<float> own(kNarrow<T> ? kRows * kColumns<T> : 0);
                 for_each_piece(end - begin, kRows, [&](Piece rows) {
                   multiply_tile({begin + rows.begin, rows.size}, depth, b, ldb, own());
                 });
               });
  }

 private:
  void multiply_tile(Piece rows, Piece depth, const T* b, std::int64_t ldb, float* own) const {
    const TileShape shape{rows.size, columns_.size, depth.size, a_.ld, ldb, out_.ld};
    const T* const a = a_.at(rows.begin, depth.begin);
    T* const out = out_.at(rows.begin, columns_.begin);
    if constexpr (kNarrow<T>) {
      TileShape summed = shape;
      summed.ldc = columns_.size;
      const bool one_piece = a_.columns <= kDepth<T>;
      float* const sum = one_piece ? own : sums_() + rows.begin * columns_.size;
      tile_product(summed, a, b, sum, depth.begin > 0);
      if (depth.begin + depth.size < a_.columns) return;
      (add_ ? add_tile : round_tile)(rows.size, columns_.size, sum, columns_.size, out, out_.ld);
    } else {
      tile_product(shape, a, b, out, add_ || depth.begin > 0);
    }
  }

  const Matrix<T>&a_, &out_;
  Piece columns_;
  bool add_;
  Buffer<float> sums_;  // of all rows, where they do not fit the result
};

// Calls multiply(block, columns, depth, panel) for all blocks of columns and pieces of the depth;
// `panel` has room for `packed` values. Of few rows each thread has blocks of columns, of many
// rows all threads share one block after the other: the same tiles.
template <class T, class Multiply>
void for_each_block(const Matrix<T>& a, const Matrix<T>& out, bool add, std::int64_t packed,
                    const Multiply& multiply) {
  std::vector<Piece> blocks;
  for_each_piece(out.columns, kColumns<T>, [&](Piece columns) { blocks.push_back(columns); });
  const auto multiply_blocks = [&](std::int64_t first, std::int64_t last) {
    const Buffer<T> panel(packed);
    for (std::int64_t i = first; i < last; ++i) {
      const Piece columns = blocks[static_cast<std::size_t>(i)];
      const ColumnBlock<T> block(a, out, columns, add);
      for_each_depth<T>(a.columns, kDepth<T>,
                        [&](Piece depth) { multiply(block, columns, depth, panel()); });
    }
  };
  if (a.rows <= kFewRows && blocks.size() > 1)
    on_threads(std::ssize(blocks),
               worth_a_thread(a.rows * a.columns * kColumns<T> / kProductsAtOnce), multiply_blocks);
  else
    multiply_blocks(0, std::ssize(blocks));
}

// Calls pack(part, to) for parts of the columns of a right operand that begins at `panel`.
template <class T, class Pack>
void pack_on_threads(std::int64_t columns, std::int64_t depth, T* panel, const Pack& pack) {
  const std::int64_t grain = kPackedColumns * worth_a_thread(2 * kPackedColumns * depth);
  on_threads(columns, grain, [&](std::int64_t first, std::int64_t last) {
    pack(Piece{first, last - first}, panel + first * kValuesPerColumn<T>);
  });
}

template <class T, class B>
void multiply_transposed(const Matrix<T>& a, const Matrix<B>& b, const Matrix<T>& out, bool add) {
  for_each_block(a, out, add, kDepth<T> * kColumns<T>,
                 [&](const ColumnBlock<T>& block, Piece columns, Piece depth, T* panel) {
                   pack_on_threads(columns.size, depth.size, panel, [&](Piece part, T* to) {
                     pack_right_transposed(part.size, depth.size,
                                           b.at(columns.begin + part.begin, depth.begin), b.ld, to,
                                           columns.size);
                   });
                   block.multiply(depth, panel, columns.size);
                 });
}

template <class T, class B>
void multiply_plain(const Matrix<T>& a, const Matrix<B>& b, const Matrix<T>& out, bool add) {
  for_each_block(a, out, add, kNarrow<T> ? kDepth<T> * kColumns<T> : 0,
                 [&](const ColumnBlock<T>& block, Piece columns, Piece depth, T* panel) {
                   const B* const rows = b.at(depth.begin, columns.begin);
                   if constexpr (kNarrow<T>) {
                     pack_on_threads(columns.size, depth.size, panel, [&](Piece part, T* to) {
                       pack_right(depth.size, part.size, depth.size, rows + part.begin, b.ld, to,
                                  columns.size);
                     });
                     block.multiply(depth, panel, columns.size);
                   } else {
                     block.multiply(depth, rows, b.ld);
                   }
                 });
}

constexpr std::int64_t kWide = 512;  // columns of a tile in add_rows

// sum += a^T b for `tokens` of the rows and `columns` of b; b: right operand, for bfloat16 of one
// tile.
template <class T>
void add_rows(const Matrix<T>& a, Piece tokens, const T* b, std::int64_t ldb, Piece columns,
              const Matrix<float>& sum) {
  const std::int64_t depth = padded_depth<T>(tokens.size);
  on_threads(
      a.columns, rows_of_part(depth * columns.size), [&](std::int64_t begin, std::int64_t end) {
        const TileRegion region;
        const Buffer<T> panel(kRows * depth);
        for_each_piece(end - begin, kRows, [&](Piece rows) {
          T* const packed = panel();
          transpose_tile(tokens.size, rows.size, a.at(tokens.begin, begin + rows.begin), a.ld,
                         packed, depth);
          for (std::int64_t r = 0; r < rows.size; ++r)
            std::fill_n(packed + r * depth + tokens.size, depth - tokens.size, T{0});
          for_each_piece(columns.size, kWide, [&](Piece part) {
            tile_product({rows.size, part.size, depth, depth, ldb, sum.ld}, packed, b + part.begin,
                         sum.at(begin + rows.begin, columns.begin + part.begin), true);
          });
        });
      });
}

template <class T>
void add_product(const Matrix<T>& a, const Matrix<T>& b, const Matrix<float>& sum) {
  const Buffer<T> panel(kNarrow<T> ? kTokens<T> * kWide : 0);
  for_each_depth<T>(a.rows, kTokens<T>, [&](Piece tokens) {
    if constexpr (kNarrow<T>) {
      for_each_piece(b.columns, kWide, [&](Piece columns) {
        pack_on_threads(columns.size, tokens.size, panel(), [&](Piece part, T* to) {
          pack_right(tokens.size, part.size, padded_depth<T>(tokens.size),
                     b.at(tokens.begin, columns.begin + part.begin), b.ld, to, columns.size);
        });
        add_rows(a, tokens, panel(), columns.size, columns, sum);
      });
    } else {
      add_rows(a, tokens, b.at(tokens.begin, 0), b.ld, {0, b.columns}, sum);
    }
  });
}

// Calls visit(a, b) with values of the types of a and b.
template <class Visit>
void with_operands(const at::Tensor& a, const at::Tensor& b, const Visit& visit) {
  MOESAIC_ASSERT(a.scalar_type() == b.scalar_type() || b.scalar_type() == at::kFloat);
  if (a.scalar_type() == at::kFloat) return visit(float{}, float{});
  with_narrow_dtype(b.scalar_type(), [&](auto type) { visit(BFloat16{}, type); });
}

}  // namespace

bool has_blocked_product(at::ScalarType dtype) {
  return dtype == at::kFloat || (dtype == at::kBFloat16 && has_bfloat16_tiles());
}

void product_transposed(const at::Tensor& a_MK, const at::Tensor& b_NK, const at::Tensor& out_MN,
                        bool add) {
  with_operands(a_MK, b_NK, [&](auto a, auto b) {
    using T = decltype(a);
    multiply_transposed(Matrix<T>(a_MK), Matrix<decltype(b)>(b_NK), Matrix<T>(out_MN), add);
  });
}

void product_plain(const at::Tensor& a_MK, const at::Tensor& b_KN, const at::Tensor& out_MN,
                   bool add) {
  with_operands(a_MK, b_KN, [&](auto a, auto b) {
    using T = decltype(a);
    multiply_plain(Matrix<T>(a_MK), Matrix<decltype(b)>(b_KN), Matrix<T>(out_MN), add);
  });
}

void add_product_of_rows(const at::Tensor& a_TM, const at::Tensor& b_TN, const at::Tensor& sum_MN) {
  with_narrow_dtype(a_TM.scalar_type(), [&](auto type) {
    using T = decltype(type);
    add_product<T>(Matrix<T>(a_TM), Matrix<T>(b_TN), Matrix<float>(sum_MN));
  });
}

}  // namespace moesaic::cpu
