// SiloTraining: what trains one silo of a federation on the ranks of its slot, a round at a time.
// Its parts are those of any run; the federation comes in by a transform of the gradient (fedprox,
// scaffold) and by what is done around a round.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "aggregate/aggregator.h"
#include "engine/parts.h"
#include "engine/stop_signal.h"
#include "engine/trainer.h"
#include "federated/compressed_changes.h"
#include "federated/control_variates.h"
#include "federated/noised_changes.h"
#include "federated/round_model.h"
#include "federated/routed_tokens.h"

namespace moesaic {

/// Bytes of a parameter's change on its way.
std::int64_t bytes_on_the_way(const Recipe& recipe, const Parameter& parameter);

class SiloTraining {
 public:
  /// What a round has made, equal on all ranks of the slot.
  struct Round {
    aggregate::SiloReport report;
    double loss = 0;  // mean of the steps; NaN where all were skipped, and where it is hidden
    std::optional<double> epsilon = {};     // that its ledger says, of a silo in private
    std::vector<at::Tensor> change;         // RoundModel::change, as it arrives
    std::int64_t bytes = 0;                 // of the whole change on its way
    CompressedChanges::Packed packed = {};  // what travels, where it is compressed
    bool stopped = false;                   // by a signal: the rest is not there
  };

  /// `recipe` of the whole federation. `parts` are those that assemble() makes of silo_recipe();
  /// their steps are those of one round. `context` of the slot and `model` must outlive it, and the
  /// model have been taken from such parts. Collective over the slot.
  SiloTraining(const Recipe& recipe, std::size_t silo, const RankContext& context,
               const RoundModel& model, TrainingParts parts);

  std::size_t silo() const { return silo_; }
  const std::string& name() const { return name_; }
  TrainingParts& parts() { return *parts_; }
  const TrainingParts& parts() const { return *parts_; }

  /// Round `round`, from 1, from the round's model. Steps, draws and learning rates count through
  /// all rounds, those that the silo has no part in, too. Collective over the slot.
  Round train(std::int64_t round, const aggregate::ServerState& server, StopSignal& stop);

  /// Writes what the silo keeps between rounds into its folder; nothing where there is nothing.
  /// Collective over the slot.
  void save(std::int64_t round) const;
  /// What it kept after `round` or the last one before in which it took part. Collective over the
  /// slot.
  void load(std::int64_t round);

 private:
  void begin_round(const aggregate::ServerState& server);
  void end_round(std::int64_t number, Round& round);
  /// What may be seen of the round beside its change. Local.
  void tell(Round& round) const;
  /// Private parameters, controls, what compression has left over, and with optimizer_state keep
  /// what the optimizer has.
  StateDict kept_state() const;
  StateDict private_parameters() const;
  CheckpointStore store() const;

  const Recipe& recipe_;
  std::size_t silo_;
  std::string name_;
  const RankContext& context_;
  const RoundModel& model_;
  std::unique_ptr<TrainingParts> parts_;
  Trainer trainer_;
  ControlVariates* controls_ = nullptr;  // one of the transforms
  RoutedTokens* routed_ = nullptr;       // one of the parts around a step
  std::optional<CompressedChanges> compressed_;
  std::optional<NoisedChanges> noised_;
  std::vector<at::Tensor> private_;  // values, by place in model.own()
};

}  // namespace moesaic
