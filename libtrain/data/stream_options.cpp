#include "data/stream_options.h"

namespace moesaic {

StreamOptions StreamOptions::of(const Recipe& recipe) {
  return {.seed = recipe.seed,
          .shuffle = recipe.data.shuffle,
          .global_batch_size = recipe.train.global_batch_size,
          .micro_batch_size = recipe.train.micro_batch_size};
}

std::vector<double> weights_of(const std::vector<SourceOptions>& sources) {
  std::vector<double> weights;
  for (const SourceOptions& source : sources) weights.push_back(source.weight);
  return weights;
}

}  // namespace moesaic
