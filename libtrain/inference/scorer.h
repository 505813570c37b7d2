// Scorer: the log-probability of each token of some sequences, on any layout.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "inference/inference_model.h"
#include "inference/sequence_window.h"

namespace moesaic {

class Scorer {
 public:
  struct Options {
    std::int64_t batch_tokens =
        1024;  // ids of one forward pass: enough for full speed, little memory
  };

  Scorer(const RankContext& context, InferenceModel& model, const Options& options)
      : context_(context), model_(model), options_(options) {}

  /// Collective over world; `window` is the same on all ranks. The first sequence that is longer
  /// than the model's positions is warned of. For each id of the window the natural log of its
  /// probability given those before it in its sequence; 0 for the first one, and for those that
  /// nobody asks for. On all ranks.
  std::vector<double> score(const SequenceWindow& window);

 private:
  using Groups = std::span<const SequenceGroup>;

  const RankContext& context_;
  InferenceModel& model_;
  Options options_;
  bool warned_ = false;  // of a sequence beyond the model's positions

  void warn_of_length(const SequenceWindow& window);
  std::vector<KvCache> read_shared(const SequenceWindow& window, Groups groups);
  void score(const SequenceWindow& window, Groups groups, bool shared, double* logprobs);
};

}  // namespace moesaic
