// UnitStream: the data of a private run: each step has the units that were drawn for it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "data/step_data.h"
#include "data/unit_draws.h"
#include "data/units.h"

namespace moesaic {

/// A unit of a step is an example of its batch, numbered in the order of the units, and whole in
/// one micro-batch. Its places are made of its own content. How units are laid into micro-batches
/// depends on the draw alone, on no layout. The sizes of a step are public numbers, but for how
/// many micro-batches it has.
class UnitStream : public StepData {
 public:
  struct Options {
    double expected_batch_size = 1;      // units of a step in the mean
    std::int64_t sequence_length = 512;  // 1 = images
    std::int64_t micro_batch_size = 4;   // sequences
    bool best_fit = false;  // not sequences are counted but inputs: as many as these can have
    std::string unit = "sequence";  // for messages
  };

  /// Error(kRecipe) for a unit that is larger than a micro-batch.
  UnitStream(std::unique_ptr<Units> units, UnitDraws draws, const Options& options);

  StepSize size(std::int64_t step) const override;
  Batch micro_batch(std::int64_t step, std::int64_t index) const override;

  const UnitDraws::Options& draws() const { return draws_.options(); }
  /// Later steps are drawn from another key.
  void renew(const SecretKey& key);

 private:
  struct DrawnStep {
    std::int64_t step = -1;  // -1: none yet
    std::vector<Units::Drawn> units;
    std::vector<std::size_t> firsts;  // of each micro-batch, in units; and their number
  };

  std::int64_t room() const;
  std::int64_t size_of_unit(std::int64_t unit) const;  // in what room() counts
  void require_room() const;
  const DrawnStep& drawn(std::int64_t step) const;

  std::unique_ptr<Units> units_;
  UnitDraws draws_;
  Options options_;
  mutable DrawnStep drawn_;  // the step that was asked for last
};

}  // namespace moesaic
