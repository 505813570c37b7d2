#include "nn/quantised_product.h"

#include <algorithm>

#include "nn/cpu/block_product.h"

namespace moesaic {
namespace {

constexpr std::int64_t kPieceValues = 1 << 20;  // numbers that are made at a time

// Rows of the weight, which are columns of the product, piece by piece.
void multiply_by_pieces(const at::Tensor& x, const QuantisedWeight& weight, std::int64_t i,
                        MatmulKernel kernel, const at::Tensor& out) {
  const at::Tensor rows_NB = weight.rows_in_blocks(i);
  const std::int64_t step = std::max<std::int64_t>(1, kPieceValues / weight.columns());
  for (std::int64_t first = 0; first < weight.rows(); first += step) {
    const std::int64_t count = std::min(step, weight.rows() - first);
    const at::Tensor piece = weight.numbers(rows_NB.narrow(0, first, count), x.scalar_type());
    product_into(x, piece, kernel, out.narrow(1, first, count));
  }
}

}  // namespace

void product_into(const at::Tensor& x, const QuantisedWeight& weight, std::int64_t i,
                  bool transposed, MatmulKernel kernel, const at::Tensor& out) {
  if (transposed) return product_into(x, weight.matrix(i, x.scalar_type()).t(), kernel, out);
  if (weight.blocks() == nullptr)
    return product_into(x, weight.matrix(i, x.scalar_type()), kernel, out);
  if (cpu::has_block_product(x))
    return cpu::block_product(x, *weight.blocks(), weight.rows_in_blocks(i), out);
  multiply_by_pieces(x, weight, i, kernel, out);
}

}  // namespace moesaic
