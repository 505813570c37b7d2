#include "nn/product_weight.h"

#include <ATen/ops/empty.h>

#include <utility>

#include "core/error.h"
#include "nn/grouped_product.h"
#include "nn/quantised_product.h"

namespace moesaic {
namespace {

// A weight that is converted for each product is converted piece by piece where a product can do
// that. Products of few rows take no pieces.
bool goes_as_it_is(const ForwardContext& context, const Parameter& weight, const at::Tensor& x,
                   bool grouped) {
  const at::ScalarType dtype = x.scalar_type();
  const bool converts = context.weights.converts(weight, dtype);
  const bool rounds = rounds_right(dtype, weight.tensor, context.matmul);
  if (grouped) return converts || rounds;
  if (weight.quantised.defined()) return false;
  return multiplies_rows(x.size(0), context.matmul) ? widens_right(x, weight.tensor, context.matmul)
                                                    : converts && rounds;
}

}  // namespace

ProductWeight::ProductWeight(const ForwardContext& context, const Parameter& weight,
                             const at::Tensor& x, std::optional<GroupOffsets> offsets)
    : context_(context),
      weight_(weight),
      offsets_(std::move(offsets)),
      dtype_(x.scalar_type()),
      as_it_is_(goes_as_it_is(context, weight, x, offsets_.has_value())) {}

at::Tensor ProductWeight::get() const {
  return as_it_is_ ? weight_.tensor : context_.weights.get(weight_, dtype_);
}

at::Tensor ProductWeight::times_codes(const at::Tensor& x, bool transposed) const {
  const QuantisedWeight& codes = weight_.quantised;
  const std::int64_t width = transposed ? codes.columns() : codes.rows();
  const at::Tensor y = at::empty({x.size(0), width}, x.options());
  product_into(x, codes, 0, transposed, context_.matmul, y);
  return y;
}

at::Tensor ProductWeight::times_numbers(const at::Tensor& x, bool transposed) const {
  const at::Tensor w = get();
  return product(x, transposed ? w.t() : w, context_.matmul);
}

at::Tensor ProductWeight::times(const at::Tensor& x, bool transposed) const {
  const auto progress = [this] { context_.world.progress(); };
  if (!offsets_) {
    const bool codes = weight_.quantised.defined();
    const at::Tensor y = codes ? times_codes(x, transposed) : times_numbers(x, transposed);
    progress();
    return y;
  }
  return weight_.quantised.defined()
             ? grouped_product(x, weight_.quantised, transposed, *offsets_, context_.matmul,
                               progress)
             : grouped_product(x, get(), transposed, *offsets_, context_.matmul, progress);
}

void ProductWeight::add_times(const at::Tensor& x, bool transposed, const at::Tensor& sum) const {
  MOESAIC_ASSERT(!weight_.quantised.defined());
  const auto progress = [this] { context_.world.progress(); };
  const at::Tensor w = get();
  if (offsets_)
    return add_grouped_product(x, w, transposed, *offsets_, context_.matmul, sum, progress);
  add_product(x, transposed ? w.t() : w, context_.matmul, sum);
  progress();
}

}  // namespace moesaic
