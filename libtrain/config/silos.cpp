#include "config/silos.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <numeric>
#include <string_view>

#include "config/name_pattern.h"
#include "core/error.h"
#include "core/random.h"

namespace moesaic {

std::vector<SiloOptions> silos_of(const Recipe& recipe) {
  return recipe.federated ? recipe.federated->silos : std::vector<SiloOptions>();
}

int SiloSlots::first_rank(std::size_t slot) const {
  return std::accumulate(ranks.begin(), ranks.begin() + static_cast<std::ptrdiff_t>(slot), 0);
}

std::size_t SiloSlots::slot_of(int rank) const {
  std::size_t slot = 0;
  for (int end = ranks.at(0); rank >= end; end += ranks.at(slot)) ++slot;
  return slot;
}

std::int64_t default_ranks(const FederatedOptions& federated) {
  constexpr std::int64_t kMost = 1'000'000;
  std::int64_t sum = 0, largest = 1;
  for (const SiloOptions& silo : federated.silos) {
    sum += silo.ranks;
    largest = std::max(largest, silo.ranks);
  }
  return federated.clients_per_round ? largest : std::clamp<std::int64_t>(sum, 1, kMost);
}

SiloSlots silo_slots(const std::vector<SiloOptions>& silos, int world) {
  MOESAIC_ASSERT(!silos.empty());
  std::int64_t sum = 0, largest = 1;
  for (const SiloOptions& silo : silos) {
    sum += silo.ranks;
    largest = std::max(largest, silo.ranks);
  }
  SiloSlots slots;
  if (world == sum) {
    for (const SiloOptions& silo : silos) slots.ranks.push_back(static_cast<int>(silo.ranks));
    return slots;
  }
  if (world > sum) {
    throw Error(ErrorKind::kRecipe,
                format("the job has {} ranks, and the silos have {} in all", world, sum),
                format("start it with -n {}, or give the silos more ranks", sum));
  }
  if (world % largest != 0) {
    throw Error(ErrorKind::kRecipe,
                format("{} ranks are fewer than the {} of all silos, so these take turns, and no "
                       "multiple of {}, the ranks of the largest one",
                       world, sum, largest),
                format("start it with -n {} or with a smaller multiple of {}", sum, largest));
  }
  slots.ranks.assign(static_cast<std::size_t>(world / largest), static_cast<int>(largest));
  return slots;
}

namespace {

/// KeyError for what no federation does.
void require_done(const Recipe& recipe) {
  const auto refuse_key = [](bool wrong, const std::string& key, const std::string& message) {
    if (wrong) throw KeyError(key, message);
  };
  const auto refuse = [&](bool wrong, const std::string& key, const std::string& message) {
    refuse_key(wrong, "federated." + key, message);
  };
  refuse_key(recipe.adapt && recipe.adapt->esft, "adapt.esft",
             "does not go with federated: each silo would choose other experts");
  refuse_key(recipe.train.on_nonfinite == "rewind", "train.on_nonfinite",
             "rewind does not go with federated: there is no checkpoint within a round");
  const FederatedOptions& federated = *recipe.federated;
  const auto& rule = federated.aggregator;
  const bool joins = rule.lora == "svd" || moves_base(recipe);
  refuse(joins && rule.learning_rate != 1, "aggregator.learning_rate",
         format("does not go with lora {}, which replaces the factors", rule.lora));
}

}  // namespace

void require_in_one_job(const Recipe& recipe) {
  require_done(recipe);
  require_data_of_silos(recipe);
}

void require_data_of_silos(const Recipe& recipe) {
  const std::vector<SiloOptions> silos = silos_of(recipe);
  for (std::size_t i = 0; i < silos.size(); ++i) {
    if (silos[i].train.empty())
      throw KeyError(format("federated.silos[{}].train", i),
                     "is missing: where all silos run together their data are named here");
  }
}

bool moves_base(const Recipe& recipe) {
  if (!recipe.federated) return false;
  const std::string& lora = recipe.federated->aggregator.lora;
  return lora == "stacking" || lora == "residual";
}

bool may_change_on_the_way(const std::string& key) {
  constexpr std::array<std::string_view, 6> kKeys = {"federated.rounds",  "federated.deadline_s",
                                                     "federated.quorum",  "federated.heartbeat_s",
                                                     "federated.stall_s", "federated.drain_s"};
  return std::find(kKeys.begin(), kKeys.end(), key) != kKeys.end();
}

bool is_secure(const Recipe& recipe) {
  return recipe.federated &&
         std::holds_alternative<SecureAggregationOptions>(recipe.federated->secure_aggregation);
}

std::size_t threshold_of(const Recipe& recipe) {
  return static_cast<std::size_t>(
      std::get<SecureAggregationOptions>(recipe.federated->secure_aggregation).threshold);
}

void require_across_sites(const Recipe& recipe) {
  if (!recipe.federated)
    throw Error(ErrorKind::kRecipe, "the recipe has no block federated",
                "name the silos and the rounds there (docs/federated.md)");
  require_done(recipe);
  if (recipe.continual && recipe.continual->replay.share > 0)
    throw KeyError("continual.replay.share",
                   "is above 0: the coordinator's recipe would name files of the silos, whose data "
                   "are their own across sites");
}

aggregate::Compression compression_of(const FederatedOptions& federated) {
  if (const auto* top = std::get_if<TopKOptions>(&federated.compression))
    return {.type = "top_k", .share = top->top_k};
  return {.type = std::get<std::string>(federated.compression)};
}

std::size_t silos_in_round(const FederatedOptions& federated) {
  if (federated.privacy && federated.privacy->silos > 0)
    return static_cast<std::size_t>(federated.privacy->silos);
  const auto silos = std::ssize(federated.silos);
  const std::int64_t asked =
      std::min<std::int64_t>(federated.clients_per_round.value_or(silos), silos);
  return static_cast<std::size_t>(asked);
}

aggregate::PrivateSum private_sum_of(const FederatedOptions& federated) {
  const ClientPrivacyOptions& privacy = *federated.privacy;
  return {.clip_norm = privacy.clip_norm,
          .noise_multiplier = privacy.noise_multiplier,
          .silos = silos_in_round(federated),
          .in_silos = privacy.where == "silos"};
}

bool silos_add_noise(const Recipe& recipe) {
  const auto& federated = recipe.federated;
  return federated && federated->privacy && federated->privacy->where == "silos";
}

bool hides_numbers_of_silos(const Recipe& recipe) {
  const auto& federated = recipe.federated;
  return federated && federated->privacy && !federated->privacy->log_loss;
}

std::string silo_folder(const std::string& run_dir, const std::string& silo) {
  return run_dir + "/silos/" + silo;
}

std::string silo_ledger(const Recipe& recipe, const std::string& silo) {
  const std::filesystem::path ledger = recipe.privacy->ledger;
  if (silos_of(recipe).size() == 1) return ledger.string();
  return silo_folder(ledger.parent_path().string(), silo) + "/" + ledger.filename().string();
}

Recipe silo_recipe(const Recipe& recipe, const SiloOptions& silo) {
  Recipe alone = recipe;
  alone.data.train = silo.train;
  alone.data.valid.clear();
  if (!alone.data.cache) alone.data.cache = recipe.run_dir + "/cache";
  alone.run_dir = silo_folder(recipe.run_dir, silo.name);
  alone.train.epochs = recipe.federated->local_epochs;
  if (!alone.train.epochs)
    alone.train.max_steps = recipe.federated->local_steps.value_or(kLocalSteps);
  alone.parallel.ranks = silo.ranks;
  // Each silo has a ledger of its own: other data, another budget.
  if (alone.privacy) {
    alone.privacy->ledger = silo_ledger(recipe, silo.name);
    alone.privacy->rounds = recipe.federated->rounds;
    if (auto& seed = alone.privacy->noise_seed) seed = *seed ^ hash_name(silo.name);
  }
  alone.federated.reset();
  alone.checkpoint.async = false;
  alone.checkpoint.best = false;
  alone.eval.patience = 0;
  return alone;
}

Recipe evaluation_recipe(const Recipe& recipe) {
  Recipe all = recipe;
  const std::vector<SiloOptions> silos = silos_of(recipe);
  all.data.train = silos.at(0).train;
  for (const SiloOptions& silo : silos) {
    all.data.valid.insert(all.data.valid.end(), silo.valid.begin(), silo.valid.end());
    if (recipe.privacy && &silo != &silos.front())
      all.data.train.insert(all.data.train.end(), silo.train.begin(), silo.train.end());
  }
  if (!all.data.cache) all.data.cache = recipe.run_dir + "/cache";
  if (all.data.train.empty()) all.privacy.reset();  // no silo's data are here
  all.train.max_steps = 1;
  all.federated.reset();
  return all;
}

}  // namespace moesaic
