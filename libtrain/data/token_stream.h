// TokenStream: the training or validation sequences by random access. The position is the step: nothing is
// replayed on resume, and no layout changes what a step contains.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "data/batch.h"
#include "data/sequences.h"

namespace moesaic {

class TokenStream {
 public:
  struct Options {
    std::uint64_t seed = 0;
    bool shuffle = true;
    std::int64_t global_batch_size = 32;
    std::int64_t micro_batch_size = 4;
  };

  /// One entry of `sources` per source, `weights` their shares of the sequences drawn.
  TokenStream(std::vector<Sequences> sources, std::vector<double> weights, const Options& options);

  /// Micro-batches of one step, the same for every layout.
  std::int64_t micro_batches_per_step() const;
  /// Micro-batch `index` of step `step` (0-based); round r of a step gives rank k the index r * world + k.
  Batch micro_batch(std::int64_t step, std::int64_t index) const;
  /// Target tokens of a whole step, over all ranks, known before its first forward.
  std::int64_t target_tokens(std::int64_t step) const;
  /// Input tokens of a whole step.
  std::int64_t input_tokens(std::int64_t step) const;

  /// Sequences of all sources together: one epoch.
  std::int64_t sequences() const;
  std::int64_t max_token_id() const;

 private:
  struct Draw { std::size_t source; std::int64_t sequence; };
  Draw draw(std::int64_t index) const;  // the index-th sequence of the whole run

  std::vector<Sequences> sources_;
  std::vector<double> weights_;
  Options options_;
};

}  // namespace moesaic
