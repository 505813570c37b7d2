// EvalBatches: all validation sequences in order, source after source, cut into micro-batches.
#pragma once

#include <cstdint>
#include <vector>

#include "data/eval_data.h"
#include "data/sequences.h"

namespace moesaic {

class EvalBatches : public EvalData {
 public:
  EvalBatches(std::vector<Sequences> sources, std::int64_t micro_batch_size);

  std::int64_t count() const override;
  /// The last one may be smaller. Each sequence is an example; example ids count
  /// through all sequences.
  Batch micro_batch(std::int64_t index) const override;
  std::int64_t target_tokens() const override;
  std::int64_t sequences() const override { return ends_.empty() ? 0 : ends_.back(); }
  std::int64_t max_token_id() const;

 private:
  std::vector<Sequences> sources_;
  std::vector<std::int64_t> ends_;  // sequences up to and with each source
  std::int64_t micro_batch_size_;
};

}  // namespace moesaic
