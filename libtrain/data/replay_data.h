// ReplayData: new data with old data among them: a share of each step's sequences.
#pragma once

#include <cstdint>
#include <memory>

#include "data/step_data.h"

namespace moesaic {

/// A step has whole sequences of both, the new ones first. Of the first n steps, n x share x
/// global_batch_size sequences are old, rounded, so that the share holds over the steps however
/// small it is. Neither the layout nor the micro-batches change a step.
class ReplayData : public StepData {
 public:
  struct Options {
    double share = 0;                     // of the old ones, in [0, 1)
    std::int64_t global_batch_size = 32;  // a multiple of micro_batch_size
    std::int64_t micro_batch_size = 4;
  };

  /// Both have steps of one sequence, in one micro-batch: step n is their draw n.
  ReplayData(std::unique_ptr<StepData> fresh, std::unique_ptr<StepData> old,
             const Options& options);

  StepSize size(std::int64_t step) const override;
  /// An example's id is its position within the global batch.
  Batch micro_batch(std::int64_t step, std::int64_t index) const override;

 private:
  struct Draw {
    const StepData& data;
    std::int64_t number;
  };
  Draw draw(std::int64_t step, std::int64_t position) const;
  /// Old sequences of all steps before.
  std::int64_t old_before(std::int64_t step) const;

  std::unique_ptr<StepData> fresh_, old_;
  Options options_;
};

}  // namespace moesaic
