// The data of a private run: its units, drawn for each step, and what may be said of validation.
#pragma once

#include <memory>

#include "core/secret_key.h"
#include "data/units.h"
#include "engine/open_data.h"

namespace moesaic {

/// The recipe whose data.train has the replayed sources, too, after its own; but for those that are
/// among its own, as a task's may be. Of images that is said by each image (data/image_units.h).
Recipe with_replayed(const Recipe& recipe);

/// `data` of units that are drawn for each step: those of data.train and, with a rate of their own
/// that keeps continual.replay.share, those of the replayed sources alone. Error(kRecipe) for what
/// units and keys cannot give: more expected units than there are, turns shorter than
/// min_separation. Local.
void draw_units(const Recipe& recipe, const arch::Options& arch, std::unique_ptr<Units> units,
                const SecretKey& key, RunData& data);

/// Once all data are open, those of all tasks, too. Error(kRecipe) where they are too few for
/// delta, or slots too few for the steps. No validation, of a task or of the run, where its data
/// are training data, unless privacy.log_loss. Collective over world.
void protect_data(const Recipe& recipe, const RankContext& context, RunData& data);

}  // namespace moesaic
