#include "loss/logit_loss.h"

#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

#include "core/error.h"
#include "loss/logit_blocks.h"
#include "nn/autograd.h"

namespace moesaic {

TermValue logit_loss(const char* name, const StepView& view, const at::Tensor& hidden_TD,
                     double scale, double coefficient, const RowLosses& rows) {
  const at::Tensor loss_T =
      at::zeros({hidden_TD.size(0)}, hidden_TD.options().dtype(view.context.precision.master));
  const at::Tensor d_hidden_TD = backward_through_head(
      view.context, view.head, hidden_TD,
      [=, factor = scale * coefficient](std::int64_t begin, const at::Tensor& logits) {
        rows(begin, logits, factor, loss_T.narrow(0, begin, logits.size(0)));
      });
  const double value = loss_T.sum(at::kDouble).item<double>() * scale;
  const at::Tensor loss = at::scalar_tensor(value * coefficient, loss_T.options());
  record(
      name, {hidden_TD}, loss,
      [d_hidden_TD](const Tensors& dy) -> Tensors {
        // The head's gradient has gone out for this factor already.
        MOESAIC_ASSERT(dy[0].item<double>() == 1);
        return {d_hidden_TD};
      },
      Reach::kBeyond);  // where the head alone is trained, too
  return {loss, value};
}

void weigh_rows(const at::Tensor& weight_T, at::Tensor logits, at::Tensor loss_T) {
  loss_T.mul_(weight_T.to(loss_T.scalar_type()));
  logits.mul_(weight_T.to(logits.scalar_type()).unsqueeze(1));
}

double per_target(const StepSize& step) {
  return 1.0 / static_cast<double>(std::max<std::int64_t>(1, step.target_tokens));
}

}  // namespace moesaic
