// FederatedRun: rounds over the silos of one job. In a round each silo trains its local steps from
// the round's model, on ranks and data of its own; then the changes meet, and the aggregator makes
// the next model. It stands where TrainingRun stands for one training: a round to it is what a step
// is there, with a row of metrics and a checkpoint after each.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "aggregate/aggregator.h"
#include "config/silos.h"
#include "core/clock.h"
#include "data/eval_data.h"
#include "engine/federated_state.h"
#include "engine/silo_privacy.h"
#include "engine/silo_training.h"
#include "federated/exchange.h"
#include "federated/rounds.h"
#include "observe/metrics.h"

namespace moesaic {

class FederatedRun {
 public:
  struct Options {
    std::string resume;  // "" = from the start | "auto" | a checkpoint or the run folder
    bool allow_changed_data = false;
  };

  /// `world`: all ranks of the job, with expert groups that lie within the silos' slots; must
  /// outlive it. Makes the training of one silo for each slot, and restores a checkpoint.
  /// Collective over world, as all that follows.
  FederatedRun(const Recipe& recipe, const RankContext& world, const Options& options);
  FederatedRun(const FederatedRun&) = delete;

  void add_sink(std::unique_ptr<MetricsSink> sink) { sinks_.push_back(std::move(sink)); }

  /// Finished rounds so far, and the last one.
  std::int64_t step() const { return state_.round; }
  std::int64_t max_steps() const { return recipe_.federated->rounds; }
  /// The global model so far, and what the server keeps beside it.
  const RoundModel& model() const { return model_; }
  const aggregate::ServerState& server() const { return aggregator_.state(); }

  /// All rounds that are left. A signal ends it within a round, which is then done again by a run
  /// that goes on. Returns the exit code: 0 or kExitStopped. Error(kBudget) where silos are hidden
  /// and the budget does not allow the next round.
  int run(StopSignal& stop);

 private:
  /// What the ranks know of a silo that has trained in the round.
  struct Answer {
    std::size_t silo = 0;
    int first_rank = 0;  // of its slot
    SiloAnswer told;
    double scale = 1;  // of its change in a secure sum
  };
  /// A silo that this rank has trained in the round.
  struct Trained {
    std::size_t silo = 0;
    SiloTraining::Round round;
    Json data;
    double scale = 1;
  };

  std::unique_ptr<SiloTraining> make_silo(std::size_t silo);
  /// False when a signal ended it.
  bool next_round(StopSignal& stop);
  Trained train_silo(std::size_t silo, StopSignal& stop);
  std::vector<Answer> exchange_answers(const std::vector<Trained>& mine);
  void next_model(const std::vector<Answer>& answers, std::vector<Trained> mine);
  void check_data(const SiloTraining& training) const;
  void give_model();
  void log(const std::vector<Answer>& answers, double seconds);
  void restore();

  const Recipe recipe_;
  const RankContext& world_;
  Options options_;
  SiloSlots slots_;
  RankContext slot_;  // of this rank
  int first_rank_;    // of its slot
  RoundModel model_;
  aggregate::Aggregator aggregator_;
  std::optional<SiloPrivacy> privacy_;  // of a federation that hides its silos
  std::unique_ptr<SiloTraining> silo_;  // the one that this slot has trained last
  std::unique_ptr<EvalData> valid_;     // of all silos; nullptr: none
  CheckpointStore store_;
  std::vector<std::unique_ptr<MetricsSink>> sinks_;
  FederatedState state_;
};

}  // namespace moesaic
