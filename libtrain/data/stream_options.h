// How the training data of a run are drawn, whatever they are.
#pragma once

#include <cstdint>
#include <vector>

#include "config/recipe.h"

namespace moesaic {

struct StreamOptions {
  std::uint64_t seed = 0;
  bool shuffle = true;
  std::int64_t global_batch_size = 32;  // a multiple of micro_batch_size
  std::int64_t micro_batch_size = 4;

  static StreamOptions of(const Recipe& recipe);
};

/// Shares of what is drawn, by source.
std::vector<double> weights_of(const std::vector<SourceOptions>& sources);

}  // namespace moesaic
