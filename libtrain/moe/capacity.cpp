#include "moe/capacity.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/argsort.h>

#include <cmath>

#include "nn/group_offsets.h"

namespace moesaic {
namespace {

// Equal tokens, such as the first ones of sequences, have weights that differ by rounding alone,
// and that differs between layouts.
at::Tensor without_noise(const at::Tensor& weight) {
  const double steps = weight.scalar_type() == at::kDouble ? 0x1p32 : 0x1p12;
  return weight.mul(steps).round();
}

}  // namespace

std::int64_t capacity_of(double factor, std::int64_t tokens, std::int64_t experts_per_token,
                         std::int64_t experts) {
  const double even = static_cast<double>(tokens * experts_per_token) * factor;
  return static_cast<std::int64_t>(std::ceil(even / static_cast<double>(experts)));
}

at::Tensor drop_over_capacity(const at::Tensor& selected_TK, const at::Tensor& weight_TK,
                              std::int64_t experts, std::int64_t capacity, bool by_position) {
  const at::Tensor chosen_N = selected_TK.flatten();
  const at::Tensor nobody_N = chosen_N.lt(0);
  const at::Tensor expert_N = chosen_N.masked_fill(nobody_N, experts);
  at::Tensor order_N;  // by expert, those that go first before the others
  if (by_position) {
    order_N = at::argsort(expert_N, /*stable=*/true, 0, false);
  } else {
    const at::Tensor best_N = at::argsort(without_noise(weight_TK.detach().flatten()),
                                          /*stable=*/true, 0, /*descending=*/true);
    order_N = best_N.index_select(
        0, at::argsort(expert_N.index_select(0, best_N), /*stable=*/true, 0, false));
  }
  const at::Tensor count_E = count_of(expert_N, experts + 1);
  const at::Tensor first_E = count_E.cumsum(0).sub(count_E);
  const at::Tensor sorted_N = expert_N.index_select(0, order_N);
  const at::Tensor rank_N =
      at::arange(chosen_N.numel(), chosen_N.options()).sub(first_E.index_select(0, sorted_N));
  const at::Tensor kept_N = chosen_N.index_select(0, order_N).masked_fill(rank_N.ge(capacity), -1);
  return chosen_N.clone().index_copy_(0, order_N, kept_N).view(selected_TK.sizes());
}

}  // namespace moesaic
