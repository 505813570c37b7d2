// TokenStream: the training sequences by random access. The position is the step: nothing is
// replayed on resume, and no layout changes what a step contains.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/mixture.h"
#include "data/sequences.h"
#include "data/step_data.h"
#include "data/stream_options.h"

namespace moesaic {

class TokenStream : public StepData {
 public:
  /// One entry of `sources` per source, `weights` their shares of the sequences drawn.
  TokenStream(std::vector<Sequences> sources, const std::vector<double>& weights,
              const StreamOptions& options);

  StepSize size(std::int64_t step) const override;
  /// Each sequence is an example; its id is its position within the global batch.
  Batch micro_batch(std::int64_t step, std::int64_t index) const override;
  /// Micro-batches of every step.
  std::int64_t micro_batches_per_step() const;

  /// Sequences of all sources together: one epoch.
  std::int64_t sequences() const;
  std::int64_t max_token_id() const;

 private:
  Draw draw(std::int64_t step, std::int64_t position) const;

  std::vector<Sequences> sources_;
  StreamOptions options_;
  Mixture mixture_;
};

}  // namespace moesaic
