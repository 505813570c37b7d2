#include "loss/target_rows.h"

#include <ATen/ops/nonzero.h>
#include <ATen/ops/zeros.h>

namespace moesaic {
namespace {

constexpr std::int64_t kLeastShare = 16;  // of the rows, to be worth the copies

at::Tensor rows_with_target(const at::Tensor& targets_T) {
  const std::int64_t count = targets_T.size(0);
  if (count == 0) return {};
  const at::Tensor row_R = at::nonzero(targets_T.ge(0)).view({-1});
  return (count - row_R.size(0)) * kLeastShare > count ? row_R : at::Tensor();
}

}  // namespace

ForwardContext head_context(const ForwardContext& context, const Batch& batch) {
  return {.batch = batch,
          .precision = context.precision,
          .matmul = context.matmul,
          .weights = context.weights,
          .world = context.world,
          .sink = context.sink,
          .training = context.training,
          .step = context.step};
}

TargetRows::TargetRows(const ForwardContext& context, const at::Tensor& targets_T)
    : row_R_(rows_with_target(targets_T)),
      count_(targets_T.size(0)),
      batch_(context.batch),
      context_(head_context(context, batch_)) {
  batch_.targets_T = of(targets_T);
  batch_.example_id_T = of(batch_.example_id_T);
  batch_.allowed_TV = of(batch_.allowed_TV);
}

at::Tensor TargetRows::of(const at::Tensor& x_T) const {
  return row_R_.defined() && x_T.defined() ? x_T.index_select(0, row_R_) : x_T;
}

at::Tensor TargetRows::spread(const at::Tensor& x_R) const {
  if (!row_R_.defined()) return x_R;
  return at::zeros({count_}, x_R.options()).index_copy_(0, row_R_, x_R);
}

}  // namespace moesaic
