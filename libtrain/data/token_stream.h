// TokenStream: the training sequences by random access. The position is the step: nothing is
// replayed on resume, and no layout changes what a step contains.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/batch.h"
#include "data/mixture.h"
#include "data/sequences.h"
#include "data/step_data.h"

namespace moesaic {

class TokenStream : public StepData {
 public:
  struct Options {
    std::uint64_t seed = 0;
    bool shuffle = true;
    std::int64_t global_batch_size = 32;  // a multiple of micro_batch_size
    std::int64_t micro_batch_size = 4;
  };

  /// One entry of `sources` per source, `weights` their shares of the sequences drawn.
  TokenStream(std::vector<Sequences> sources, const std::vector<double>& weights,
              const Options& options);

  StepSize size(std::int64_t step) const override {
    return {target_tokens(step), input_tokens(step), micro_batches_per_step(),
            sequences_per_step()};
  }
  /// Micro-batches of one step, the same for every layout.
  std::int64_t micro_batches_per_step() const;
  std::int64_t sequences_per_step() const { return options_.global_batch_size; }
  /// Micro-batch `index` of step `step` (0-based); round r of a step gives rank k the index
  /// r * world + k. Example ids are positions within the global batch.
  Batch micro_batch(std::int64_t step, std::int64_t index) const override;
  /// Target tokens of a whole step, over all ranks, known before its first forward.
  std::int64_t target_tokens(std::int64_t step) const;
  /// Input tokens of a whole step.
  std::int64_t input_tokens(std::int64_t step) const;

  /// Sequences of all sources together: one epoch.
  std::int64_t sequences() const;
  std::int64_t max_token_id() const;

 private:
  Draw draw(std::int64_t step, std::int64_t position) const;

  std::vector<Sequences> sources_;
  Options options_;
  Mixture mixture_;
};

}  // namespace moesaic
