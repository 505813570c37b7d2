#include "store/adapter.h"

#include <ATen/ops/matmul.h>

namespace moesaic {

at::Tensor adapted_rows(const AdapterPair& pair, const at::Tensor& weight, std::int64_t first) {
  const std::int64_t count = weight.size(0);
  const bool experts = weight.dim() == 3;
  const at::Tensor b = pair.b.narrow(0, first, count).to(weight.scalar_type());
  const at::Tensor a = (experts ? pair.a.narrow(0, first, count) : pair.a).to(weight.scalar_type());
  at::Tensor sum = weight.add(at::matmul(b, a), pair.scale);
  if (!pair.magnitude.defined()) return sum;
  at::Tensor length = sum.square().sum(-1).sqrt();
  length.masked_fill_(length.eq(0), 1);  // of a row of zeros, which stays one
  const at::Tensor wanted = pair.magnitude.narrow(0, first, count).to(weight.scalar_type());
  return sum.mul_(wanted.div(length).unsqueeze(-1));
}

}  // namespace moesaic
