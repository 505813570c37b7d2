// Scorer: the log-probability of each token of some sequences, on any layout.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "inference/inference_model.h"

namespace moesaic {

/// Sequences of token ids, one after the other.
struct SequenceWindow {
  std::vector<std::int64_t> ids;
  std::vector<std::int64_t> offsets = {0};  // sequence i is ids [offsets[i], offsets[i+1])
  std::vector<std::int64_t> firsts = {};    // in it the first id that is asked for

  void add(std::span<const std::uint32_t> sequence, std::int64_t first = 0);
  std::int64_t sequences() const { return static_cast<std::int64_t>(offsets.size()) - 1; }
};

/// Collective over world: the chief's window on every rank.
SequenceWindow broadcast(const Communicator& world, const SequenceWindow& window);

/// The sequences of each micro-batch: at most `batch_tokens` ids, or one longer sequence. Longest
/// first, so that those of about the same length come together and the last round is a short one.
/// The layout has no say, so it changes no number. Sequences of one id or none have nothing to
/// score and are in no micro-batch.
std::vector<std::vector<std::int64_t>> micro_batches(const SequenceWindow& window,
                                                     std::int64_t batch_tokens);

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
  /// probability given those before it in its sequence; 0 for the first one, and for those that nobody asks
  /// for. On all ranks.
  std::vector<double> score(const SequenceWindow& window);

 private:
  const RankContext& context_;
  InferenceModel& model_;
  Options options_;
  bool warned_ = false;  // of a sequence beyond the model's positions

  void warn_of_length(const SequenceWindow& window);
};

}  // namespace moesaic
