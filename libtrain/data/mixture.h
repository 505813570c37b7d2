// Mixture: which sequence of which source is draw n of a run. A pure function of n and the seed.
//
// Draws come in blocks of kBlock. In each block a source owns a fixed number of draws, its weight's
// share by cumulative rounding; they lie in seeded order when shuffled, evenly spread otherwise.
// The k-th draw of a source of N sequences is number k % N of its epoch k / N, permuted anew in
// each epoch when shuffled: every epoch of a source has each of its sequences once. A single source
// has no blocks: draw n is its draw n.
#pragma once

#include <cstdint>
#include <vector>

namespace moesaic {

struct Draw {
  std::size_t source = 0;
  std::int64_t sequence = 0;
};

class Mixture {
 public:
  static constexpr std::int64_t kBlock = 4096;

  struct Options {
    std::uint64_t seed = 0;
    bool shuffle = true;
  };

  /// `sizes`: sequences of each source. `weights`: their shares, relative to the sum;
  /// Error(kRecipe) for one that is not a positive number or gives less than one draw of a block.
  Mixture(std::vector<std::int64_t> sizes, const std::vector<double>& weights,
          const Options& options);

  Draw draw(std::int64_t n) const;

 private:
  struct Slot {  // of a block
    std::size_t source = 0;
    std::int64_t rank = 0;
  };
  void spread(const std::vector<double>& weights);
  std::int64_t sequence(std::size_t source, std::int64_t k) const;

  std::vector<std::int64_t> sizes_;
  Options options_;
  std::vector<std::int64_t> quotas_;  // draws of a block that a source owns
  std::vector<Slot> slots_;           // of a block, evenly spread; empty with a single source
};

}  // namespace moesaic
