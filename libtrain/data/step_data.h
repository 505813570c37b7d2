// StepData: what the training loop knows of its data: the size of step n, and micro-batch i of it.
#pragma once

#include <cstdint>

#include "data/batch.h"

namespace moesaic {

/// Sizes of the whole step, over all ranks and micro-batches, known before its first forward. Each
/// may differ from step to step, the number of micro-batches, too: samples may be drawn by Poisson.
/// A step may have no target. What is shown of a run comes from target_tokens: where a step's units
/// are drawn in private, it is a public number, and so is not that of the draw.
struct StepSize {
  std::int64_t target_tokens = 0;
  std::int64_t input_tokens = 0;
  std::int64_t micro_batches = 0;
  std::int64_t documents = 0;  // of Batch::document_offsets: what means over sequences divide by
};

/// By random access: a pure function of the step, so that nothing is replayed on resume, and the
/// same on all ranks and layouts. Steps count from 0.
class StepData {
 public:
  virtual ~StepData() = default;
  virtual StepSize size(std::int64_t step) const = 0;
  /// Micro-batch `index` of size(step).micro_batches; round r of a step gives rank k the index
  /// r * world + k.
  virtual Batch micro_batch(std::int64_t step, std::int64_t index) const = 0;
};

}  // namespace moesaic
