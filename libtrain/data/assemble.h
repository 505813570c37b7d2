// assemble: sequences to a Batch.
#pragma once

#include <cstdint>
#include <span>

#include "data/batch.h"
#include "data/sequences.h"

namespace moesaic {

/// One sequence of one source.
struct SequenceRef {
  const Sequences* source = nullptr;
  std::int64_t index = 0;
};

/// The micro-batch of `sequences`; the first one has the example id `first_example`.
Batch assemble(std::span<const SequenceRef> sequences, std::int64_t first_example);

}  // namespace moesaic
