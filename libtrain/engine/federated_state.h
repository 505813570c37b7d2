// What a federation has between its rounds, in one job and at a coordinator alike: how far it is,
// the checkpoint of it, and the row of metrics of a round.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "aggregate/aggregator.h"
#include "engine/federated_notes.h"
#include "engine/parts.h"
#include "federated/round_model.h"
#include "loss/validation.h"
#include "observe/metrics.h"

namespace moesaic {

struct FederatedState {
  std::int64_t round = 0;      // the last one that is finished
  std::int64_t tokens = 0;     // targets of all silos so far
  Json data = Json::object();  // descriptions of the silos' data, where they are known
};

/// What the recipe has silos do with each parameter; `recipe` must outlive it. KeyError for a
/// pattern that matches nothing.
RoundModel::KindOf kinds_of(const Recipe& recipe, const ParameterSet& parameters);

/// The validation data of the recipe's silos; nullptr where they have none. Collective over world.
std::unique_ptr<EvalData> open_validation(const Recipe& recipe, const RankContext& world);

/// The checkpoint of the global model, which `parts` have, and of the server's vectors. Local.
CheckpointContent content_of(const Recipe& recipe, const TrainingParts& parts,
                             const aggregate::ServerState& server, const FederatedState& state);

/// The way back, into `parts` and `server`. Error(kRecipe) where the recipe differs from the one
/// that saved it, or the checkpoint is of another run's folder. Collective over world.
FederatedState load_federation(const Recipe& recipe, const RankContext& world,
                               const CheckpointInfo& info, TrainingParts& parts,
                               aggregate::ServerState& server);

/// The row of round `state.round`; `seconds` that it took, 0 where they are not known. What no silo
/// has told is not in it.
MetricsRow row_of_round(const FederatedState& state, const std::vector<SiloAnswer>& answers,
                        const std::optional<Validation>& valid, double seconds);

}  // namespace moesaic
