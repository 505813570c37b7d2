// The data of a private run: its units, drawn for each step, and what may be said of validation.
#pragma once

#include "data/dataset.h"
#include "engine/open_data.h"

namespace moesaic {

/// The rest of `data`, whose description is there: units in place of sequences, of a recipe with
/// the block privacy. No validation where its data are the training data's, unless
/// privacy.log_loss. Error(kRecipe) for what units and keys cannot give: delta of 1 / units or
/// above, more expected units than there are, turns shorter than min_separation. Collective over
/// world.
RunData open_units(const Recipe& recipe, const CorpusPaths& paths, std::int64_t vocab_size,
                   const RankContext& context, RunData data);

}  // namespace moesaic
