#include "nn/cpu/block_product.h"

#include <algorithm>
#include <vector>

#include "nn/cpu/attention_loops.h"
#include "nn/cpu/block_loops.h"
#include "nn/cpu/dtypes.h"
#include "parallel/gguf_dequantise.h"
#include "parallel/threads.h"

namespace moesaic::cpu {
namespace {

constexpr std::int64_t kValuesOfTask = 1 << 15;  // of b, as in row_product

// A row of numbers is made in `values`, then multiplied by each row of a.
void times_numbers(const GgufTensorType& type, const std::uint8_t* row, const float* a,
                   std::int64_t rows, std::vector<float>& values, float* sums) {
  const auto columns = static_cast<std::int64_t>(values.size());
  dequantise(type, row, columns, values.data());
  for (std::int64_t r = 0; r < rows; ++r) sums[r] = dot(a + r * columns, values.data(), columns);
}

// By `loop`; portably where that is nullptr.
void multiply_blocks(const at::Tensor& a_MK, const GgufTensorType& type, const at::Tensor& b_NB,
                     const at::Tensor& out_MN, BlockLoop loop) {
  MOESAIC_ASSERT(out_MN.stride(1) == 1 && b_NB.is_contiguous());
  const at::Tensor a = a_MK.to(at::kFloat).contiguous();
  const std::int64_t m = a.size(0), k = a.size(1), bytes = b_NB.size(1), ldo = out_MN.stride(0);
  const auto* const left = a.const_data_ptr<float>();
  const auto* const right = b_NB.const_data_ptr<std::uint8_t>();
  const std::int64_t grain = std::max<std::int64_t>(1, kValuesOfTask / k);
  with_narrow_dtype(out_MN.scalar_type(), [&](auto t) {
    using T = decltype(t);
    T* const out = out_MN.mutable_data_ptr<T>();
    on_threads(b_NB.size(0), grain, [&](std::int64_t first, std::int64_t last) {
      std::vector<float> sums(static_cast<std::size_t>(m));
      std::vector<float> values(static_cast<std::size_t>(loop == nullptr ? k : 0));
      for (std::int64_t n = first; n < last; ++n) {
        const std::uint8_t* const row = right + n * bytes;
        if (loop != nullptr)
          loop(row, k, left, m, sums.data());
        else
          times_numbers(type, row, left, m, values, sums.data());
        for (std::int64_t r = 0; r < m; ++r)
          out[r * ldo + n] = narrow<T>(sums[static_cast<std::size_t>(r)]);
      }
    });
  });
}

}  // namespace

bool has_block_product(const at::Tensor& a_MK) {
  const at::ScalarType dtype = a_MK.scalar_type();
  return a_MK.is_cpu() && a_MK.size(0) <= kFewBlockRows &&
         (dtype == at::kFloat || dtype == at::kBFloat16);
}

void block_product(const at::Tensor& a_MK, const GgufTensorType& type, const at::Tensor& b_NB,
                   const at::Tensor& out_MN) {
  multiply_blocks(a_MK, type, b_NB, out_MN, block_loop(type, a_MK.size(1)));
}

void block_product_portably(const at::Tensor& a_MK, const GgufTensorType& type,
                            const at::Tensor& b_NB, const at::Tensor& out_MN) {
  multiply_blocks(a_MK, type, b_NB, out_MN, nullptr);
}

}  // namespace moesaic::cpu
