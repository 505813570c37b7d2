#include "store/staging.h"

#include <ATen/ops/empty.h>
#include <c10/util/accumulate.h>

namespace moesaic {

at::Tensor StagingBuffer::take(const std::vector<std::int64_t>& shape, at::ScalarType dtype) {
  const std::int64_t bytes =
      c10::multiply_integers(shape) * static_cast<std::int64_t>(c10::elementSize(dtype));
  if (!bytes_.defined() || bytes_.numel() < bytes) bytes_ = at::empty({bytes}, at::kByte);
  return bytes_.narrow(0, 0, bytes).view(dtype).view(shape);
}

}  // namespace moesaic
