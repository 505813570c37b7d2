// StepData: the data of a run, as the training loop knows it.
#pragma once

#include <cstdint>

#include "data/batch.h"

namespace moesaic {

/// Sizes of a whole step, over all ranks and micro-batches, known before its first forward.
struct StepSize {
  std::int64_t target_tokens = 0;
  std::int64_t input_tokens = 0;
  std::int64_t micro_batches = 0;
  std::int64_t documents = 0;
};

class StepData {
 public:
  virtual ~StepData() = default;
  /// Of step `step`, from 0. The number of micro-batches may differ from step to step.
  virtual StepSize size(std::int64_t step) const = 0;
  /// Micro-batch `index` of that step, by random access, the same for every layout.
  virtual Batch micro_batch(std::int64_t step, std::int64_t index) const = 0;
};

}  // namespace moesaic
