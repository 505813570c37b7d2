#include "nn/grouped_product.h"

#include <ATen/ops/_grouped_mm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include "nn/quantised_product.h"

namespace moesaic {
namespace {

constexpr std::int64_t kAlignment = 16;  // bytes: of the rows that the kernel for all groups takes

bool is_aligned(const at::Tensor& x) {
  const auto place = reinterpret_cast<std::uintptr_t>(x.const_data_ptr());
  const std::int64_t row_bytes = x.size(-1) * static_cast<std::int64_t>(x.element_size());
  return x.is_contiguous() && place % kAlignment == 0 && row_bytes % kAlignment == 0;
}

// Whether LibTorch's kernel for all groups takes these operands, both of this dtype, without asking
// where the groups begin: it has one for bfloat16; for other dtypes it asks, and for every product.
bool fits_one_call(const at::Tensor& a, const at::Tensor& b) {
  return a.is_cuda() && a.scalar_type() == at::kBFloat16 && b.scalar_type() == at::kBFloat16 &&
         a.size(0) > 0 && is_aligned(a) && is_aligned(b);
}

template <class Visit>
void for_each_group(const GroupOffsets& offsets, const std::function<void()>& progress,
                    const Visit& visit) {
  const std::vector<std::int64_t>& begin = offsets.host();
  for (std::size_t e = 0; e + 1 < begin.size(); ++e) {
    visit(static_cast<std::int64_t>(e), begin[e], begin[e + 1] - begin[e]);
    if (progress) progress();
  }
}

// [.., width]: the rows of group e are multiply(e, rows of x, rows of the result).
template <class Multiply>
at::Tensor products_of_groups(const at::Tensor& x, std::int64_t width, const GroupOffsets& offsets,
                              const std::function<void()>& progress, const Multiply& multiply) {
  const at::Tensor y = at::empty({x.size(0), width}, x.options());
  for_each_group(offsets, progress, [&](std::int64_t e, std::int64_t begin, std::int64_t rows) {
    if (rows > 0) multiply(e, x.narrow(0, begin, rows), y.narrow(0, begin, rows));
  });
  return y;
}

}  // namespace

namespace in_one_call {

at::Tensor grouped_product(const at::Tensor& x, const at::Tensor& w_eNK, bool transposed,
                           const GroupOffsets& offsets) {
  return at::_grouped_mm(x, transposed ? w_eNK : w_eNK.transpose(1, 2), offsets.ends(x));
}

void add_grouped_product_of_rows(const at::Tensor& a_RM, const at::Tensor& b_RN,
                                 const GroupOffsets& offsets, const at::Tensor& sum_eMN) {
  const at::Tensor product_eMN = at::_grouped_mm(a_RM.t(), b_RN, offsets.ends(a_RM));
  // Not every device's kernel writes the product of no rows.
  const at::Tensor empty_e11 = offsets.empty_groups(a_RM).view({-1, 1, 1});
  sum_eMN.add_(product_eMN.masked_fill(empty_e11, 0));
}

}  // namespace in_one_call

at::Tensor grouped_product(const at::Tensor& x, const at::Tensor& w_eNK, bool transposed,
                           const GroupOffsets& offsets, MatmulKernel kernel,
                           const std::function<void()>& progress) {
  if (fits_one_call(x, w_eNK)) return in_one_call::grouped_product(x, w_eNK, transposed, offsets);
  return products_of_groups(x, w_eNK.size(transposed ? 2 : 1), offsets, progress,
                            [&](std::int64_t e, const at::Tensor& rows, const at::Tensor& out) {
                              const at::Tensor w = w_eNK.select(0, e);
                              product_into(rows, transposed ? w.t() : w, kernel, out);
                            });
}

at::Tensor grouped_product(const at::Tensor& x, const QuantisedWeight& w_eNK, bool transposed,
                           const GroupOffsets& offsets, MatmulKernel kernel,
                           const std::function<void()>& progress) {
  return products_of_groups(x, transposed ? w_eNK.columns() : w_eNK.rows(), offsets, progress,
                            [&](std::int64_t e, const at::Tensor& rows, const at::Tensor& out) {
                              product_into(rows, w_eNK, e, transposed, kernel, out);
                            });
}

void add_grouped_product(const at::Tensor& x, const at::Tensor& w_eNK, bool transposed,
                         const GroupOffsets& offsets, MatmulKernel kernel, const at::Tensor& sum,
                         const std::function<void()>& progress) {
  if (fits_one_call(x, w_eNK)) {
    sum.add_(in_one_call::grouped_product(x, w_eNK, transposed, offsets));
    return;
  }
  for_each_group(offsets, progress, [&](std::int64_t e, std::int64_t begin, std::int64_t rows) {
    if (rows == 0) return;
    const at::Tensor w = w_eNK.select(0, e);
    add_product(x.narrow(0, begin, rows), transposed ? w.t() : w, kernel,
                sum.narrow(0, begin, rows));
  });
}

void add_grouped_product_of_rows(const at::Tensor& a_RM, const at::Tensor& b_RN,
                                 const GroupOffsets& offsets, MatmulKernel kernel,
                                 const at::Tensor& sum_eMN, const std::function<void()>& progress) {
  if (fits_one_call(a_RM, b_RN))
    return in_one_call::add_grouped_product_of_rows(a_RM, b_RN, offsets, sum_eMN);
  for_each_group(offsets, progress, [&](std::int64_t e, std::int64_t begin, std::int64_t rows) {
    add_product_of_rows(a_RM.narrow(0, begin, rows), b_RN.narrow(0, begin, rows), kernel,
                        sum_eMN.select(0, e));
  });
}

}  // namespace moesaic
