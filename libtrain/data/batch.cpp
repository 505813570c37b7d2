#include "data/batch.h"

#include <ATen/ops/empty.h>

namespace moesaic {

Batch empty_batch() {
  const auto none = [] { return at::empty({0}, at::kLong); };
  return {.ids_T = none(), .targets_T = none(), .positions_T = none(), .example_id_T = none()};
}

}  // namespace moesaic
