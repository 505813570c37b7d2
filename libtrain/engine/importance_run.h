// The run of `moesaic importance`: how much each value of a model matters for the data of a recipe,
// as a file that a later run is pulled by (docs/continual.md).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "config/recipe.h"
#include "continual/fisher.h"
#include "parallel/rank_context.h"
#include "store/importance_file.h"

namespace moesaic {

struct ImportanceRun {
  std::string model;                // path, as ModelSource takes it
  std::optional<std::string> base;  // of a run with adapters, where it is now
  std::string adapter;              // "" = none; else merged into the model first
  std::string output;
  bool mas = false;  // the sensitivity of the outputs instead of the Fisher information
  bool not_private = false;  // of data under a ledger: it is meant that no noise hides them
};

/// Of all weights of the model, adapters merged, whatever the recipe trains. The recipe gives the
/// data, the labels and the precision. -> what the file says of itself. Collective over world.
/// Error(kRecipe) for a recipe of several tasks, and for one with the block privacy unless it is
/// meant.
ImportanceNotes make_importances(const ImportanceRun& run, const Recipe& recipe,
                                 const RankContext& context);

}  // namespace moesaic
