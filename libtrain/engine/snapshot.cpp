#include "engine/snapshot.h"

#include <ATen/ops/empty_like.h>

#include <cstring>

#include "core/error.h"

namespace moesaic {
namespace {

bool fits(const at::Tensor& buffer, const at::Tensor& values) {
  return buffer.defined() && buffer.sizes() == values.sizes() &&
         buffer.scalar_type() == values.scalar_type();
}

/// `own` is the copy of an earlier state; its memory is used again.
void copy(const StateDict& live, StateDict& own) {
  StateDict before = std::exchange(own, live);
  before.resize(live.size());
  for (std::size_t i = 0; i < live.size(); ++i) {
    const at::Tensor values = live[i].tensor.detach();
    MOESAIC_ASSERT(values.is_cpu() && values.is_contiguous());
    at::Tensor buffer = before[i].tensor;
    if (!fits(buffer, values)) buffer = at::empty_like(values);
    // Not copy_(), which would start threads beside those that train.
    if (values.nbytes() > 0)
      std::memcpy(buffer.mutable_data_ptr(), values.const_data_ptr(), values.nbytes());
    own[i].tensor = buffer;
  }
}

}  // namespace

void Snapshot::take(const CheckpointContent& live) {
  copy(live.model, content_.model);
  copy(live.state, content_.state);
  content_.config = live.config;
  content_.tokenizer = live.tokenizer;
  content_.base = live.base;
  content_.training = live.training;
  content_.best = live.best;
  content_.hub = live.hub;
}

}  // namespace moesaic
