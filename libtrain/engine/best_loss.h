// BestLoss: the lowest valid_loss of a run, and how long ago it was found.
#pragma once

#include <cstdint>
#include <optional>

#include "core/json.h"

namespace moesaic {

class BestLoss {
 public:
  /// `patience`: evaluations without a new best after which the run is over; 0 = never.
  explicit BestLoss(std::int64_t patience) : patience_(patience) {}

  /// An evaluation after `step`. True for a new best; a loss that is not a number is none.
  bool add(std::int64_t step, double loss);

  bool is_over() const { return patience_ > 0 && since_ >= patience_; }
  std::optional<double> loss() const { return loss_; }
  /// After which the best was found.
  std::optional<std::int64_t> step() const;

  /// For the manifest's "training", under "best"; null before the first evaluation.
  Json note() const;
  /// Error(kCheckpoint) for a note that is damaged. null: nothing is known.
  void restore(const Json& note);

 private:
  std::int64_t patience_;
  std::optional<double> loss_;
  std::int64_t step_ = 0;
  std::int64_t since_ = 0;  // evaluations since then
};

}  // namespace moesaic
