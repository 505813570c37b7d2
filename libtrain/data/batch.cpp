#include "data/batch.h"

#include <ATen/ops/empty.h>

namespace moesaic {

Batch empty_batch() {
  const auto none = [] { return at::empty({0}, at::kLong); };
  return {.ids_T = none(), .targets_T = none(), .positions_T = none(), .example_id_T = none()};
}

Batch to_device(const Batch& batch, at::Device device) {
  return {batch.ids_T.to(device), batch.targets_T.to(device), batch.positions_T.to(device),
          batch.example_id_T.to(device), batch.sequence_offsets};
}

}  // namespace moesaic
