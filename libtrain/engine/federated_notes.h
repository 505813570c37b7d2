// What a federated run writes down: the answers of the silos in a round, and what its checkpoints
// say beside the model.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "aggregate/aggregator.h"
#include "config/recipe.h"
#include "core/json.h"
#include "store/checkpoint.h"

namespace moesaic {

/// What a silo tells of its round beside its change.
struct SiloAnswer {
  aggregate::SiloReport report;
  double loss = 0;         // mean of its steps; no number where they were skipped or are hidden
  std::int64_t bytes = 0;  // of its change on the way
  std::optional<double> epsilon = {};  // that its ledger says, of a silo in private
};
Json to_json(const SiloAnswer& answer);
/// Error(kData) where it is none.
SiloAnswer answer_from(const Json& json);
/// Error(kData) where it says more than a silo can have done in a round.
void require_possible(const Recipe& recipe, const SiloAnswer& answer);

/// A vector of the server as a checkpoint has it.
StateEntry server_entry(const std::string& name, const std::vector<double>& values);
std::vector<double> values_of(const StateEntry& entry);

/// The manifest's "training" of a federated run.
struct FederatedNotes {
  std::string recipe;
  std::int64_t tokens = 0;
  Json silos;                                 // descriptions of their data, by name
  std::map<std::string, std::size_t> server;  // sizes of the server's vectors

  /// Error(kCheckpoint) where they are not there or damaged.
  static FederatedNotes of(const CheckpointInfo& info);
};

/// Error(kRecipe) for a checkpoint of another run's folder: what its silos keep is there. Local.
void require_own_folder(const CheckpointInfo& info, const std::string& run_dir);

}  // namespace moesaic
