// SiloPrivacy: what hides each silo as a whole at whoever adds up their changes
// (federated.privacy): the ledger of the federation, the noise of each round, and what is said of
// both. It stands where PrivateSteps stands for the units of one run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "aggregate/aggregator.h"
#include "config/recipe.h"
#include "core/json.h"
#include "core/secret_key.h"
#include "observe/metrics.h"
#include "parallel/rank_context.h"
#include "privacy/private_ledger.h"

namespace moesaic {

/// The rule of the recipe's rounds, a private sum where silos are hidden.
aggregate::Aggregator make_aggregator(const Recipe& recipe);

/// What the ledger of a federation knows its silos by: their names.
std::string digest_of_silos(const FederatedOptions& federated);

/// A key of the silos' noise, new from the operating system; with noise_seed that of the seed.
/// `who` is another one for each silo. Collective over world.
SecretKey key_of_silo_noise(const Communicator& world, const ClientPrivacyOptions& privacy,
                            const std::string& who);

class SiloPrivacy {
 public:
  /// Of a recipe with federated.privacy. `world` must outlive it. Collective over world, as all
  /// below where nothing else is said.
  SiloPrivacy(const Recipe& recipe, const RankContext& world);

  /// To go on from a checkpoint with these notes. What accounting::Ledger throws.
  void restore(const Json& training);

  /// Error(kBudget) where the budget does not allow one round more.
  void require_round();

  /// Charges a round of so many answers, before anything is made of them. Error(kBudget) with
  /// nothing charged.
  void charge(std::size_t answers);
  /// Gives the round that `aggregator` has begun its noise. Local.
  void draw(std::int64_t round, aggregate::Aggregator& aggregator) const;

  /// "epsilon", of the federation's ledger: what the silos' own ledgers say is "record_epsilon"
  /// beside it; and "not_private" with noise_seed.
  void report(MetricsRow& row) const;
  /// "federated_privacy": {"ledger": digest of its last line; "NOT PRIVATE" with noise_seed}.
  /// Local.
  void add_notes(Json& training) const;

 private:
  accounting::Event event_of(std::size_t answers) const;

  ClientPrivacyOptions privacy_;
  aggregate::PrivateSum sum_;
  const RankContext& world_;
  std::optional<PrivateLedger> ledger_;  // none: there is nothing to charge
  SecretKey key_;
};

}  // namespace moesaic
