#include "moe/permute.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/argsort.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include "nn/autograd.h"
#include "nn/cpu/rows.h"

namespace moesaic {

at::Tensor inverse_of(const at::Tensor& order_N) {
  at::Tensor inverse_N = at::empty_like(order_N);
  inverse_N.index_copy_(0, order_N, at::arange(order_N.size(0), order_N.options()));
  return inverse_N;
}

namespace {

// The copies in grouped order.
at::Tensor spread(const at::Tensor& x_TD, const Grouping& g) {
  return x_TD.index_select(0, g.token_N);
}

at::Tensor add_copies(const at::Tensor& y_ND, const Grouping& g) {
  if (y_ND.is_cpu()) {
    const at::Tensor out_TD =
        at::empty({y_ND.size(0) / g.copies_per_token, y_ND.size(1)}, y_ND.options());
    cpu::sum_of_rows(y_ND.contiguous(), g.inverse_N, out_TD);
    return out_TD;
  }
  const at::Tensor y_copies = y_ND.index_select(0, g.inverse_N);
  const std::int64_t tokens = y_ND.size(0) / g.copies_per_token;
  return y_copies.view({tokens, g.copies_per_token, y_ND.size(1)}).sum(1);
}

}  // namespace

Grouping Grouping::make(const at::Tensor& selected_TK) {
  const at::Tensor order_N = at::argsort(selected_TK.flatten(), /*stable=*/true, 0, false);
  const std::int64_t copies = selected_TK.size(1);
  return {order_N, order_N.floor_divide(copies), inverse_of(order_N), copies};
}

at::Tensor scatter_to_groups(const at::Tensor& x_TD, const Grouping& grouping) {
  return record("scatter_to_groups", {x_TD}, spread(x_TD.detach(), grouping),
                [grouping](const Tensors& dy) -> Tensors { return {add_copies(dy[0], grouping)}; });
}

at::Tensor gather_from_groups(const at::Tensor& y_ND, const Grouping& grouping) {
  return record("gather_from_groups", {y_ND}, add_copies(y_ND.detach(), grouping),
                [grouping](const Tensors& dy) -> Tensors { return {spread(dy[0], grouping)}; });
}

at::Tensor reorder(const at::Tensor& x_N, const at::Tensor& order_N, const at::Tensor& inverse_N) {
  return record(
      "reorder", {x_N}, x_N.detach().index_select(0, order_N),
      [inverse_N](const Tensors& dy) -> Tensors { return {dy[0].index_select(0, inverse_N)}; });
}

}  // namespace moesaic
