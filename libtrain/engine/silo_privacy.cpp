#include "engine/silo_privacy.h"

#include <algorithm>
#include <exception>
#include <vector>

#include "config/silos.h"
#include "core/format.h"
#include "core/secure_digest.h"
#include "privacy/shared_key.h"

namespace moesaic {
namespace {

constexpr const char* kSiloNotes = "federated_privacy";

PrivateLedger::Options ledger_of_silos(const Recipe& recipe, const accounting::Event& event) {
  const ClientPrivacyOptions& privacy = *recipe.federated->privacy;
  std::optional<accounting::Budget> budget;
  if (privacy.budget) budget = accounting::Budget{privacy.budget->epsilon, privacy.budget->delta};
  return {.path = privacy.ledger,
          .terms = {.data = digest_of_silos(*recipe.federated), .unit = "silo", .budget = budget},
          .charge = event,
          .delta = privacy.delta};
}

void warn_of_noise(const ClientPrivacyOptions& privacy, const Log& log) {
  if (privacy.noise_seed)
    log.warn("NOT PRIVATE: federated.privacy.noise_seed tells everybody the noise");
  if (privacy.noise_multiplier == 0)
    log.warn("NOT PRIVATE: no noise hides a silo (federated.privacy.allow_no_privacy)");
  if (privacy.log_loss)
    log.warn("federated.privacy.log_loss: the losses that are written are not private");
}

}  // namespace

aggregate::Aggregator make_aggregator(const Recipe& recipe) {
  const FederatedOptions& federated = *recipe.federated;
  const std::size_t silos = federated.silos.size();
  if (!federated.privacy) return {federated.aggregator, silos};
  return {federated.aggregator, silos, private_sum_of(federated)};
}

std::string digest_of_silos(const FederatedOptions& federated) {
  std::vector<std::string> names;
  for (const SiloOptions& silo : federated.silos) names.push_back(silo.name);
  std::sort(names.begin(), names.end());
  return secure_digest_of(format("{}", join(names, "\n")));
}

SecretKey key_of_silo_noise(const Communicator& world, const ClientPrivacyOptions& privacy,
                            const std::string& who) {
  return shared_key(world, privacy.noise_seed).derived(format("noise of silos: {}", who));
}

SiloPrivacy::SiloPrivacy(const Recipe& recipe, const RankContext& world)
    : privacy_(*recipe.federated->privacy),
      sum_(private_sum_of(*recipe.federated)),
      world_(world),
      key_(key_of_silo_noise(world.world, privacy_, "the sum")) {
  warn_of_noise(privacy_, world.log);
  if (sum_.noise_multiplier == 0) return;
  ledger_.emplace(ledger_of_silos(recipe, event_of(sum_.silos)));
  world.log.info("privacy   noise {:.6g} x clip_norm on the sum of {} silos, added by the {}",
                 sum_.noise_multiplier, sum_.silos, privacy_.where);
}

// Who is drawn for a round is no secret (federated.clients_per_round, by `seed`), so each round
// counts as one that all silos are in.
accounting::Event SiloPrivacy::event_of(std::size_t answers) const {
  return {.noise_multiplier = sum_.multiplier_of(answers), .sampling_rate = 1.0, .steps = 1};
}

void SiloPrivacy::restore(const Json& training) {
  const Json notes = training.value(kSiloNotes, Json::object());
  if (ledger_) ledger_->open(world_.world, notes.value("ledger", ""));
}

void SiloPrivacy::require_round() {
  if (!ledger_) return;
  if (const auto refused = ledger_->refusal(world_.world, event_of(sum_.silos)))
    std::rethrow_exception(refused);
}

void SiloPrivacy::charge(std::size_t answers) {
  if (!ledger_) return;
  if (const auto refused = ledger_->charge(world_.world, event_of(answers)))
    std::rethrow_exception(refused);
}

void SiloPrivacy::draw(std::int64_t round, aggregate::Aggregator& aggregator) const {
  aggregator.draw({key_, static_cast<std::uint64_t>(round)});
}

void SiloPrivacy::report(MetricsRow& row) const {
  for (auto& [name, value] : row.values)
    if (name == "epsilon") name = "record_epsilon";
  if (ledger_) row.set("epsilon", ledger_->epsilon(world_.world));
  if (privacy_.noise_seed) row.set("not_private", 1);
}

void SiloPrivacy::add_notes(Json& training) const {
  Json& notes = training[kSiloNotes] = Json::object();
  if (ledger_) notes["ledger"] = ledger_->head();
  if (privacy_.noise_seed) notes["NOT PRIVATE"] = "noise_seed";
}

}  // namespace moesaic
