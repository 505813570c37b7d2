// StagingBuffer: memory for the piece under way. A new aligned block for each piece would not be
// found again by malloc once small blocks that stay lie between them (HDF5 keeps such): the process
// would grow by all that passes through (measured: an import by the size of the model).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace moesaic {

class StagingBuffer {
 public:
  /// Uninitialised, on the host; valid until the next call.
  at::Tensor take(const std::vector<std::int64_t>& shape, at::ScalarType dtype);

 private:
  at::Tensor bytes_;
};

}  // namespace moesaic
