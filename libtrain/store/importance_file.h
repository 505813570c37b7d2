// Files of importances (docs/continual.md): HDF5 with the data sets fisher/<parameter> and
// anchor/<parameter> under global names and shapes, so that a file is readable on any layout, and
// attributes that say what they are of.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "parallel/importance.h"
#include "parallel/parameter_set.h"
#include "parallel/rank_context.h"

namespace moesaic {

/// Attributes of the file.
struct ImportanceNotes {
  std::string labels;         // sampled | exact | empirical | batched | mas
  std::int64_t examples = 0;  // that the mean is over
  std::string model_digest;   // ModelSource::digest() of the model that the anchors are of
};

/// Collective over world, to be asked before there is much to be lost: Error(kCheckpoint) when no
/// such file can be at `path`, or when there is one with something else, as a recipe or data.
void require_place_for_importances(const RankContext& context, const std::string& path);

/// Collective over world. Writes what is defined of `importance`, each value once, by the ranks
/// that hold it, under a temporary name first: it replaces importances at `path`, nothing else.
/// After a failure every rank throws Error(kCheckpoint).
void write_importances(const RankContext& context, const std::string& path,
                       const ParameterSet& parameters, const Importance& importance,
                       const ImportanceNotes& notes);

/// Collective over world. What a file, or the newest checkpoint of a run that kept importances,
/// holds of these parameters, each rank its own rows; undefined where it holds nothing.
/// `model_digest`, where it is given, is what they must be of. Before any value is read:
/// Error(kRecipe) when they are of another model, Error(kCheckpoint) for what is not such a file,
/// or of parameters that are not these. Afterwards Error(kCheckpoint) for values that are NaN,
/// infinite, negative, or zero throughout. All ranks throw.
Importance read_importances(const RankContext& context, const std::string& path,
                            const ParameterSet& parameters,
                            const std::optional<std::string>& model_digest = std::nullopt);

/// The same of one checkpoint of a run, whose state has them under these names; values are not
/// looked at. Error(kCheckpoint) where it has none, or where the run has adapters: then anchors are
/// of changes of a base.
Importance read_state_importances(const RankContext& context, const std::string& checkpoint,
                                  const ParameterSet& parameters);

}  // namespace moesaic
