// TargetRows: the rows of a batch that have a target. The output head is the widest product of a
// model, and where only answers are learned or scored most rows need none of it.
#pragma once

#include <ATen/core/Tensor.h>

#include "data/batch.h"
#include "nn/forward_context.h"

namespace moesaic {

class TargetRows {
 public:
  /// Those with a target in targets_T; all of them unless more than a sixteenth have none. Local;
  /// the host waits for a device.
  TargetRows(const ForwardContext& context, const at::Tensor& targets_T);
  TargetRows(const TargetRows&) = delete;  // the context refers to the batch
  TargetRows& operator=(const TargetRows&) = delete;

  /// What the output head needs of a pass over these rows; it lives as long as this.
  const ForwardContext& context() const { return context_; }
  /// These rows of a tensor of all rows, in the graph; undefined stays so.
  at::Tensor of(const at::Tensor& x_T) const;
  /// Values of these rows -> of all rows, 0 elsewhere.
  at::Tensor spread(const at::Tensor& x_R) const;

 private:
  at::Tensor row_R_;  // undefined: all
  std::int64_t count_;
  Batch batch_;
  ForwardContext context_;
};

/// What an output head needs of a pass: `context` over another batch, which must outlive it.
ForwardContext head_context(const ForwardContext& context, const Batch& batch);

}  // namespace moesaic
