// The silos of a federation (federated.silos): what one of them trains alone, and which ranks of a
// job do it.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "aggregate/compression.h"
#include "aggregate/private_sum.h"
#include "config/recipe.h"

namespace moesaic {

/// Empty where the recipe has its own data alone.
std::vector<SiloOptions> silos_of(const Recipe& recipe);

/// Groups of consecutive ranks, each of which trains one silo at a time.
struct SiloSlots {
  std::vector<int> ranks;  // of each slot

  std::size_t size() const { return ranks.size(); }
  int first_rank(std::size_t slot) const;
  std::size_t slot_of(int rank) const;
};

/// Ranks of a job whose recipe and command say nothing: those of all silos; where clients are
/// drawn, of the largest one.
std::int64_t default_ranks(const FederatedOptions& federated);

/// As many slots as silos, each with its silo's ranks, where `world` is their sum. Fewer ranks are
/// cut into slots of the largest silo's ranks, on which the silos take turns: on which ranks a silo
/// trains never changes the mathematics. Error(kRecipe) for more ranks, or a number that cannot be
/// cut.
SiloSlots silo_slots(const std::vector<SiloOptions>& silos, int world);

/// KeyError for what a federation within one job does not do.
void require_in_one_job(const Recipe& recipe);
/// KeyError for a silo without data.
void require_data_of_silos(const Recipe& recipe);
/// The same of one across sites; Error(kRecipe) where there is no block federated.
void require_across_sites(const Recipe& recipe);

/// Whether a key says how long or for how many a federation goes on or waits, and nothing of what
/// is trained: it may change while it runs.
bool may_change_on_the_way(const std::string& key);

/// Whether only the sum of the silos' changes is seen, and how many must stay for it.
bool is_secure(const Recipe& recipe);
std::size_t threshold_of(const Recipe& recipe);

/// Whether rounds add to the frozen weights under the adapters: aggregator.lora stacking, residual.
bool moves_base(const Recipe& recipe);

/// Of a round, where neither local_steps nor local_epochs are given.
inline constexpr std::int64_t kLocalSteps = 10;

/// Of the changes; top_k has its share.
aggregate::Compression compression_of(const FederatedOptions& federated);

/// Silos that a round asks: a number that everybody knows.
std::size_t silos_in_round(const FederatedOptions& federated);

/// Of federated.privacy, which is there.
aggregate::PrivateSum private_sum_of(const FederatedOptions& federated);

/// Whether the silos bound their changes and add noise (federated.privacy.where: silos).
bool silos_add_noise(const Recipe& recipe);

/// Whether no number of a silo's round is told beside its change, and none of its validation: with
/// federated.privacy, unless log_loss says otherwise.
bool hides_numbers_of_silos(const Recipe& recipe);

/// <run_dir>/silos/<name>: what a silo keeps between rounds.
std::string silo_folder(const std::string& run_dir, const std::string& silo);

/// Of a recipe with the block privacy: that of the recipe, <folder>/<file>, where it has one silo,
/// else <folder>/silos/<name>/<file>. What one silo spends is nothing to the data of the others.
std::string silo_ledger(const Recipe& recipe, const std::string& silo);

/// The recipe of one round of a silo alone: its data, folder and ledger, the steps of a round, no
/// federation, and nothing saved on the way.
Recipe silo_recipe(const Recipe& recipe, const SiloOptions& silo);

/// The recipe that the global model is evaluated by: the validation data of all silos. Its training
/// data are the first silo's; with the block privacy those of all, for what may be seen of the
/// validation depends on them.
Recipe evaluation_recipe(const Recipe& recipe);

}  // namespace moesaic
