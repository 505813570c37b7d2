#include "adapt/dropout.h"

#include "core/error.h"
#include "nn/autograd.h"
#include "nn/token_uniform.h"

namespace moesaic {

at::Tensor Dropout::apply(const ForwardContext& context, const at::Tensor& x_TK,
                          const at::Tensor& place_T) const {
  if (share_ == 0 || !context.training) return x_TK;
  MOESAIC_ASSERT(place_T.defined() && place_T.size(0) == x_TK.size(0));
  const RandomKey key(seed_, RandomStream::kDropout, static_cast<std::uint64_t>(context.step),
                      name_);
  const auto factor = [key, place_T, share = share_](const at::Tensor& x) {
    return token_uniform(key, place_T, x.size(1)).ge(share).to(x.scalar_type()).div_(1 - share);
  };
  const at::Tensor x = x_TK.detach();
  return record("dropout", {x_TK}, x.mul(factor(x)),
                [factor](const Tensors& dy) -> Tensors { return {dy[0].mul(factor(dy[0]))}; });
}

}  // namespace moesaic
