// StartingWeights: the weights that a recipe's run starts from (model.from), upcycled where it says
// so.
#pragma once

#include <memory>
#include <set>
#include <string>

#include "config/recipe.h"
#include "parallel/parameter_set.h"
#include "store/model_source.h"

namespace moesaic {

class StartingWeights {
 public:
  /// Collective over world. Without model.from there are none.
  StartingWeights(const Recipe& recipe, const arch::Options& arch, const RankContext& context);

  /// Whether some parameter begins with initial values.
  bool need_initial_values() const { return source_ == nullptr || !anew_.empty(); }

  /// What adapters of the run belong to, for its checkpoints; null where they hold all weights.
  const Json& base() const { return base_; }

  /// ModelSource::digest of the model that the run of `recipe` starts from, with the adapter at
  /// adapt.from; "" without model.from. Collective over world.
  std::string digest(const Recipe& recipe, const RankContext& context) const;

  /// Fills what they have of `parameters`; the rest keeps its values, and the log says so. ->
  /// what the weights brought along. Collective over world.
  HubOrigin load(const ParameterSet& parameters, const RankContext& context) const;

 private:
  std::unique_ptr<ModelSource> source_;
  std::set<std::string> anew_;  // parameters that the source does not have
  Json base_;
};

}  // namespace moesaic
