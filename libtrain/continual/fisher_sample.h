// FisherSample: the first examples of the training order, micro-batch by micro-batch, shared out to
// the ranks. Which examples they are does not depend on
// the layout, nor on the micro-batches.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "data/step_data.h"
#include "parallel/rank_context.h"

namespace moesaic {

class FisherSample {
 public:
  struct Options {
    std::int64_t examples = 0;
    std::optional<std::int64_t> sequences = {};  // that are looked at, at most
    bool documents = false;  // each document of the batch is an example, instead of its examples
  };

  /// `data` must outlive the sample.
  FisherSample(const StepData& data, const Options& options, const Communicator& world)
      : data_(data), options_(options), world_(world) {}

  /// This rank's micro-batch of the next round, perhaps empty; nullopt when the sample is complete.
  /// Its examples are numbered, and its places begin, through the whole sample. Collective over
  /// world.
  std::optional<Batch> next();

  /// Of the rounds so far, over all ranks.
  std::int64_t examples() const { return examples_; }
  std::int64_t micro_batches() const { return micro_batches_; }

 private:
  /// A micro-batch of the data.
  struct Place {
    std::int64_t step = 0;
    std::int64_t index = 0;
  };
  /// Of this rank in the round that begins at `next_`, which moves on.
  Place take_place();
  /// Of the first `count` examples, numbered from `number` on.
  Batch numbered(const Batch& batch, std::int64_t count, std::int64_t number) const;
  std::vector<std::int64_t> starts(const Batch& batch) const;

  const StepData& data_;
  Options options_;
  Communicator world_;
  Place next_;
  std::int64_t sequences_ = 0, examples_ = 0, micro_batches_ = 0;
};

}  // namespace moesaic
