#include "moe/permute.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/argsort.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/full.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "core/error.h"
#include "nn/autograd.h"
#include "nn/cpu/rows.h"

namespace moesaic {

at::Tensor inverse_of(const at::Tensor& order_N) {
  at::Tensor inverse_N = at::empty_like(order_N);
  inverse_N.index_copy_(0, order_N, at::arange(order_N.size(0), order_N.options()));
  return inverse_N;
}

namespace {

// The copies in the order of their experts, those of one expert in their own. `count`: of each
// expert, from -1 (nowhere) on.
at::Tensor order_of(const at::Tensor& chosen_N, const at::Tensor& count) {
  if (!chosen_N.is_cpu()) return at::argsort(chosen_N, /*stable=*/true, 0, false);
  const auto* const begin = count.const_data_ptr<std::int64_t>();
  std::vector<std::int64_t> next(static_cast<std::size_t>(count.numel()));  // place of an expert
  std::exclusive_scan(begin, begin + count.numel(), next.begin(), std::int64_t{0});
  const at::Tensor order_N = at::empty_like(chosen_N);
  const auto* const chosen = chosen_N.const_data_ptr<std::int64_t>();
  auto* const order = order_N.mutable_data_ptr<std::int64_t>();
  for (std::int64_t i = 0; i < chosen_N.numel(); ++i)
    order[next[static_cast<std::size_t>(chosen[i] + 1)]++] = i;
  return order_N;
}

// Values at `index`, where one past the last stands for zeros.
at::Tensor select_or_zeros(const at::Tensor& x, const at::Tensor& index, bool whole) {
  if (whole) return x.index_select(0, index);
  auto sizes = x.sizes().vec();
  sizes[0] = 1;
  return at::cat({x, at::zeros(sizes, x.options())}).index_select(0, index);
}

at::Tensor spread(const at::Tensor& x_TD, const Grouping& g) {
  return select_or_zeros(x_TD, g.token_N, g.whole);
}

at::Tensor add_copies(const at::Tensor& y_ND, const Grouping& g) {
  const std::int64_t tokens = g.place_TK.size(0);
  if (y_ND.is_cpu()) {
    const at::Tensor out_TD = at::empty({tokens, y_ND.size(1)}, y_ND.options());
    cpu::sum_of_rows(y_ND.contiguous(), g.place_TK, out_TD);
    return out_TD;
  }
  const at::Tensor place = g.place_TK.flatten();
  const at::Tensor from = g.whole ? place : place.masked_fill(place.lt(0), y_ND.size(0));
  return select_or_zeros(y_ND, from, g.whole)
      .view({tokens, g.place_TK.size(1), y_ND.size(1)})
      .sum(1);
}

// Copies of one expert stand at its places from the first on; the places after them are padding.
void pad(Grouping& g, const at::Tensor& expert_n, std::int64_t rows) {
  const std::int64_t experts = g.count_E.size(0), copies = g.place_TK.numel();
  const at::Tensor first_E = g.count_E.cumsum(0).sub(g.count_E);
  const at::Tensor own = at::arange(expert_n.size(0), expert_n.options());
  const at::Tensor place_n = own.sub(first_E.index_select(0, expert_n)).add(expert_n.mul(rows));
  const at::Tensor copy_n = g.copy_N;
  g.copy_N = at::full({experts * rows}, copies, copy_n.options()).index_copy_(0, place_n, copy_n);
  g.place_TK = at::full_like(g.place_TK, -1);
  g.place_TK.view({-1}).index_copy_(0, copy_n, place_n);
  g.count_E = at::full_like(g.count_E, rows);
  g.offsets = GroupOffsets(g.count_E, std::vector(static_cast<std::size_t>(experts), rows));
}

}  // namespace

Grouping Grouping::make(const at::Tensor& expert_TK, std::int64_t experts, std::int64_t padded_rows,
                        bool everywhere) {
  const std::int64_t per_token = expert_TK.size(1), copies = expert_TK.numel();
  const at::Tensor chosen_N = expert_TK.contiguous().flatten();
  Grouping g;
  // The bin before the first is that of the copies that go nowhere.
  const at::Tensor count = count_of(chosen_N.add(1), experts + 1);
  g.count_E = count.narrow(0, 1, experts);
  std::int64_t nowhere = 0;
  if (everywhere && !count.is_cpu()) {
    g.offsets = GroupOffsets(g.count_E);
  } else {
    const at::Tensor host = count.cpu();
    const std::int64_t* counts = host.const_data_ptr<std::int64_t>();
    nowhere = counts[0];
    g.offsets = GroupOffsets(g.count_E, std::vector(counts + 1, counts + 1 + experts));
    MOESAIC_ASSERT(padded_rows == 0 ||
                   std::all_of(counts + 1, counts + 1 + experts,
                               [&](std::int64_t rows) { return rows <= padded_rows; }));
  }
  const at::Tensor order_N = order_of(chosen_N, count);
  g.whole = nowhere == 0 && padded_rows == 0;
  if (g.whole) {
    g.copy_N = order_N;
    g.place_TK = inverse_of(order_N).view(expert_TK.sizes());
  } else {
    g.copy_N = order_N.narrow(0, nowhere, copies - nowhere);
    g.place_TK = inverse_of(order_N).sub(nowhere).clamp_min(-1).view(expert_TK.sizes());
    if (padded_rows > 0) pad(g, chosen_N.index_select(0, g.copy_N), padded_rows);
  }
  g.token_N = g.copy_N.div(per_token, "floor");
  return g;
}

at::Tensor scatter_to_groups(const at::Tensor& x_TD, const Grouping& grouping) {
  return record("scatter_to_groups", {x_TD}, spread(x_TD.detach(), grouping),
                [grouping](const Tensors& dy) -> Tensors { return {add_copies(dy[0], grouping)}; });
}

at::Tensor weights_in_groups(const at::Tensor& weight_TK, const Grouping& grouping) {
  const at::Tensor weight_N =
      select_or_zeros(weight_TK.detach().flatten(), grouping.copy_N, grouping.whole);
  return record(
      "weights_in_groups", {weight_TK}, weight_N, [grouping](const Tensors& dy) -> Tensors {
        const at::Tensor place = grouping.place_TK.flatten();
        const at::Tensor from =
            grouping.whole ? place : place.masked_fill(place.lt(0), dy[0].size(0));
        return {select_or_zeros(dy[0], from, grouping.whole).view(grouping.place_TK.sizes())};
      });
}

at::Tensor tokens_in_groups(const Batch& batch, const Grouping& grouping) {
  const std::int64_t last = std::max<std::int64_t>(0, batch.tokens() - 1);
  return batch.place_T.index_select(0, grouping.token_N.clamp_max(last));
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
