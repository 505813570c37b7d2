// LossSpikes: steps whose loss stands out from those before it, by the median and the median
// deviation, which a few spikes do not move (Leys et al. 2013, doi 10.1016/j.jesp.2013.03.013).
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>

#include "core/json.h"

namespace moesaic {

class LossSpikes {
 public:
  /// What was usual before a spike.
  struct Usual {
    double median = 0;
    double most = 0;     // above which a loss stands out
    bool first = false;  // the step before was none
  };

  static constexpr std::size_t kWindow = 64;  // steps that are looked back at
  static constexpr std::size_t kLeast = 16;   // before so many nothing stands out

  /// The loss of the next step, which is looked back at from then on; one that is not finite is
  /// passed over. Nothing where it is a usual one.
  std::optional<Usual> add(double loss);
  /// Another task begins, whose losses are others.
  void forget() { recent_.clear(); }

  /// Spikes since the last call: for a row of metrics.
  std::int64_t take();

  /// For the manifest's "training", under "loss_spikes": {"recent": losses, "since_row": spikes
  /// that no row of metrics has yet}; null before the first step.
  Json note() const;
  /// Error(kCheckpoint) for a note that is damaged. null: nothing is known.
  void restore(const Json& note);

 private:
  std::deque<double> recent_;
  bool last_was_spike_ = false;
  std::int64_t count_ = 0;
};

}  // namespace moesaic
