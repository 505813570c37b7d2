// ProductWeight: a weight as the products of one operation take it.
#pragma once

#include <optional>

#include "nn/forward_context.h"
#include "nn/group_offsets.h"

namespace moesaic {

/// As the weight is kept, or in the dtype of the rows, of codes where it is quantised. What is made
/// for a product is made anew for the next, so that backward keeps no copy of it.
class ProductWeight {
 public:
  /// A weight [N, K] for rows like `x`; with `offsets` [e, N, K], one for each group of rows.
  /// Context and weight must outlive it.
  ProductWeight(const ForwardContext& context, const Parameter& weight, const at::Tensor& x,
                std::optional<GroupOffsets> offsets = std::nullopt);

  /// x times the weight^T -> [.., N]; `transposed`: x times the weight -> [.., K].
  at::Tensor times(const at::Tensor& x, bool transposed) const;
  /// The same added to `sum`, row-major. Not of a quantised weight.
  void add_times(const at::Tensor& x, bool transposed, const at::Tensor& sum) const;

 private:
  at::Tensor get() const;
  // Of one matrix, not of experts.
  at::Tensor times_codes(const at::Tensor& x, bool transposed) const;
  at::Tensor times_numbers(const at::Tensor& x, bool transposed) const;

  const ForwardContext& context_;
  const Parameter& weight_;
  std::optional<GroupOffsets> offsets_;
  at::ScalarType dtype_;
  bool as_it_is_;  // the products convert it, if need be
};

}  // namespace moesaic
