// GlobalModel: what a coordinator keeps of a federation across sites: the model, what the server
// has beside it, its checkpoints, and the file of each round that silos fetch. One rank.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "aggregate/aggregator.h"
#include "engine/federated_state.h"
#include "engine/silo_privacy.h"
#include "federated/exchange.h"

namespace moesaic {

/// A silo's change that has arrived.
struct ArrivedChange {
  SiloAnswer told;
  std::string file;
};

class GlobalModel {
 public:
  /// The newest checkpoint of the run folder, or the model as it starts. `context` of one rank must
  /// outlive it, and `recipe`.
  GlobalModel(const Recipe& recipe, const RankContext& context);
  GlobalModel(const GlobalModel&) = delete;

  const FederatedState& state() const { return state_; }
  const RoundModel& model() const { return model_; }
  const aggregate::ServerState& server() const { return aggregator_.state(); }
  /// What silos must have, too: digests of the weights that the run starts from, and of the
  /// tokenizer. "" = none.
  const std::string& weights_digest() const { return weights_digest_; }
  const std::string& tokenizer_digest() const { return tokenizer_digest_; }
  /// Bytes that no honest change takes more of.
  std::uint64_t most_change_bytes() const;

  /// The file of the model after round state().round, and whether it is there. Of round 0, the
  /// start, it lies with what is under way.
  std::string file() const;
  /// Writes it.
  void write_file() const;

  /// Where silos are hidden, Error(kBudget) when the budget does not allow one round more.
  void require_round();
  /// Of the row of a round: what its privacy has cost.
  void report(MetricsRow& row) const;

  /// Error(kData), naming silo and parameter, for a change that cannot be taken.
  void require_change(const aggregate::SiloReport& report, const std::string& path) const;
  /// The next round's model, by the aggregator; it is saved as a checkpoint and as file(). Where
  /// silos are hidden it is charged before: Error(kBudget) with nothing made.
  /// `refused`: silos of the round whose changes could not be taken.
  void next(const std::vector<ArrivedChange>& changes, std::size_t refused = 0);
  /// The same where only the sum of the changes is seen, of so many silos that have agreed on keys:
  /// `unmask` takes the masks from a sum of words, the `nonce`-th, from number `first` on.
  using Unmask =
      std::function<void(std::uint64_t nonce, std::uint64_t first, std::span<std::uint64_t> sum)>;
  void next_of_sum(const std::vector<ArrivedChange>& changes, std::size_t silos,
                   const Unmask& unmask);
  /// What the last of these took to write checkpoint and file.
  double saving_seconds() const { return saving_s_; }

 private:
  /// `held`: in the order of the aggregator's reports.
  void finish(const std::vector<HeldChange>& held, const std::vector<ArrivedChange>& arrived);
  std::shared_ptr<const SharedFile> open(const std::string& silo, const std::string& path) const;

  const Recipe& recipe_;
  const RankContext& context_;
  TrainingParts parts_;
  RoundModel model_;
  aggregate::Aggregator aggregator_;
  std::optional<SiloPrivacy> privacy_;  // of a federation that hides its silos
  CheckpointStore store_;
  FederatedState state_;
  std::string weights_digest_, tokenizer_digest_;
  double saving_s_ = 0;
};

/// <run_dir>/rounds: one file a round, and the journal.
std::string rounds_folder(const std::string& run_dir);
/// <run_dir>/exchange: what is under way, which may be removed when the run is over.
std::string exchange_folder(const std::string& run_dir);

/// Digests that the two sides of a federation compare. The first is collective over context.world.
std::string starting_digest(const Recipe& recipe, const TrainingParts& parts,
                            const RankContext& context);
std::string digest_of_tokenizer(const TrainingParts& parts);

}  // namespace moesaic
