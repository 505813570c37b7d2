// EvalData: all validation data of a run, cut into micro-batches that no layout changes.
#pragma once

#include <cstdint>

#include "data/batch.h"

namespace moesaic {

class EvalData {
 public:
  virtual ~EvalData() = default;
  /// Micro-batches.
  virtual std::int64_t count() const = 0;
  virtual Batch micro_batch(std::int64_t index) const = 0;
  virtual std::int64_t target_tokens() const = 0;  // of all micro-batches
  virtual std::int64_t sequences() const = 0;      // or images
  /// Whether the targets are labels: then it counts how many of them are found, too.
  virtual bool has_labels() const { return false; }
};

}  // namespace moesaic
