// What a classifier makes of images: `moesaic eval --task images`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "config/recipe.h"
#include "core/json.h"
#include "parallel/rank_context.h"

namespace moesaic {

struct ImageEvalOptions {
  std::string model;                     // as InferenceModel::Options::path
  std::string adapter;                   // "" = none
  std::optional<std::string> base = {};  // of a run with adapters, where it has moved
  std::string precision = "float32";     // float64 | float32 | bfloat16
  bool allow_nonfinite = false;
  SourceOptions source;       // of format idx
  bool mask_classes = false;  // the outputs are those of the source's classes alone
  std::int64_t batch = 1024;  // images of a forward pass
};

/// {"task", "images", "loss", "accuracy"}: cross entropy in nats, mean over the images, and the
/// share whose label is the likeliest output. Collective over world. Error(kUsage) for a model that
/// reads tokens; errors of the files as choose_images (config/image_source.h) has them.
Json evaluate_images(const RankContext& context, const ImageEvalOptions& options);

}  // namespace moesaic
