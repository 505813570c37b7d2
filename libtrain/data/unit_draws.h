// UnitDraws: which units of privacy are in a step.
#pragma once

#include <cstdint>
#include <vector>

#include "core/secret_key.h"

namespace moesaic {

class UnitDraws {
 public:
  /// The last of the units, which have a rate, or turns, of their own: old data among the new.
  struct Others {
    std::int64_t units = 0;
    double rate = 1;
    std::int64_t turns = 0;
  };
  struct Options {
    std::int64_t units = 1;  // all of them
    /// Poisson: of each unit in each step, independent of all others. 0 < rate <= 1.
    double rate = 1;
    /// Cyclic: in place of a rate, a unit comes every so many steps, in a turn of its own that is
    /// drawn from `seed` by its name in `names`: units that are added or removed move no other.
    /// 0 = Poisson.
    std::int64_t turns = 0;
    std::uint64_t seed = 0;
    std::vector<std::uint64_t> names = {};  // UnitList::distinct_fingerprints
    std::int64_t slots = 1;                 // most units of a step: those above it are left out
    Others others = {};

    /// Of no unit above it.
    double largest_rate() const;
    /// Over all units.
    double mean_rate() const;
    /// Cyclic: no unit comes twice in so many steps.
    std::int64_t least_turns() const;
  };

  /// Poisson draws are a function of (key, step, unit): nobody without the key knows them.
  UnitDraws(const Options& options, const SecretKey& key);

  /// Ascending; may be empty. Steps count from 0. Local, the same on all ranks that have the key.
  std::vector<std::int64_t> of_step(std::int64_t step) const;

  /// Later draws are from another key. A step that is done again must be drawn again.
  void renew(const SecretKey& key);

  const Options& options() const { return options_; }

 private:
  std::vector<std::int64_t> poisson(std::int64_t step) const;
  std::vector<std::int64_t> in_turn(std::int64_t step) const;

  Options options_;
  SecretKey key_;
};

}  // namespace moesaic
