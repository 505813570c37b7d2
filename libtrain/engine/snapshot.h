// Snapshot: a copy of a checkpoint's content in memory of its own, which is kept for the next one.
#pragma once

#include "store/checkpoint.h"

namespace moesaic {

class Snapshot {
 public:
  /// Copies the values of `live`, whose tensors are on the host; by this thread alone.
  void take(const CheckpointContent& live);

  const CheckpointContent& content() const { return content_; }

 private:
  CheckpointContent content_;
};

}  // namespace moesaic
