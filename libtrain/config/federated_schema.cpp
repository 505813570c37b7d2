// The keys of the block federated.
#include "config/schema_builder.h"

namespace moesaic {
namespace {

using namespace rules;

constexpr double kMostSilos = 1e6;
constexpr double kMostSeconds = 1e9;

std::vector<KeyOf<SiloOptions>> silo_keys() {
  std::vector<KeyOf<SiloOptions>> keys;
  add_key(keys, FIELD(name), required(), "Its name, also in the metrics: silo_<name>_loss.");
  add_key(keys, FIELD(ranks), from(1, 1e6), "Consecutive ranks that train it.");
  add_key(keys, FIELD(train), {.default_text = "required within one job"},
          "Its training data; across sites each silo's own recipe names them.");
  add_key(keys, FIELD(valid), {},
          "Its validation data; valid_loss of the global model covers those of all silos.");
  return keys;
}

std::vector<KeyOf<TopKOptions>> top_k_keys() {
  std::vector<KeyOf<TopKOptions>> keys;
  add_key(keys, FIELD(top_k), {.least = 0, .most = 1, .above_least = true},
          "Share of the values of each parameter that travel: the largest.");
  return keys;
}

std::vector<KeyOf<SecureAggregationOptions>> secure_keys() {
  std::vector<KeyOf<SecureAggregationOptions>> keys;
  add_key(keys, FIELD(threshold), from(2, kMostSilos),
          "Silos that must stay to the end of a round for its sum to be found.");
  return keys;
}

std::vector<KeyOf<ClientPrivacyOptions>> client_privacy_keys() {
  std::vector<KeyOf<ClientPrivacyOptions>> keys;
  add_key(keys, FIELD(clip_norm), positive(), "Largest norm of a silo's change.");
  add_key(keys, FIELD(noise_multiplier), from(0, 1e6),
          "The noise on the sum has a standard deviation of so many clip_norm; 0 charges nothing "
          "(allow_no_privacy).");
  add_key(keys, FIELD(where), one_of({"coordinator", "silos"}),
          "Who bounds the changes and adds it: the coordinator, or each silo its share.");
  add_key(keys, FIELD(delta), {.least = 0, .most = 1, .above_least = true, .below_most = true},
          "At which epsilon is counted, below 1 / silos; that of the budget where one is given.");
  add_key(keys, FIELD(ledger), path("<run_dir>/silo-ledger.json"),
          "What was spent; the coordinator's.");
  add_block(keys, FIELD(budget), "Of the ledger, fixed at its first use; absent: none.");
  add_key(keys, FIELD(log_loss), {}, "Losses are written, though they are not private.");
  add_key(keys, FIELD(noise_seed), {},
          "For tests: the noise can be foretold, and every output says NOT PRIVATE.");
  add_key(keys, FIELD(allow_no_privacy), {}, "noise_multiplier 0 is allowed.");
  return keys;
}

void add_aggregator(std::vector<KeyOf<FederatedOptions>>& keys) {
  const Rule share = {.least = 0, .most = 1, .below_most = true};
  add_key(
      keys, FIELD(aggregator.type),
      one_of({"fedavg", "fedavgm", "fedprox", "fedadam", "fedyogi", "fedadagrad", "fednova",
              "scaffold", "median", "trimmed_mean", "krum", "multi_krum", "bulyan", "norm_bound"}),
      "How the silos' changes become one (docs/federated.md).");
  add_key(keys, FIELD(aggregator.weights), one_of({"examples", "tokens", "uniform"}),
          "Of a silo in a mean: what it trained on in the round, or all alike; with "
          "federated.privacy uniform alone, which is then the default.");
  add_key(keys, FIELD(aggregator.lora),
          one_of({"average", "frozen_a", "stacking", "residual", "svd"}),
          "What becomes of the silos' adapters: the mean of each factor, which is not the mean of "
          "the products; or one of the exact ways.");
  add_key(keys, FIELD(aggregator.experts), one_of({"uniform", "routed_tokens"}),
          "Weights of the silos for an expert: those of the rest, or the tokens routed to it.");
  add_key(keys, NAMED("aggregator.private", aggregator.private_names), {},
          "Regular expressions of whole names: these parameters stay in their silo.");
  add_key(keys, FIELD(aggregator.learning_rate), positive(), "Of the server.");
  add_key(keys, FIELD(aggregator.momentum), share, "fedavgm.");
  add_key(keys, FIELD(aggregator.beta_1), share, "fedadam, fedyogi.");
  add_key(keys, FIELD(aggregator.beta_2), share, "fedadam, fedyogi.");
  add_key(keys, FIELD(aggregator.tau), positive(), "fedadam, fedyogi, fedadagrad.");
  add_key(keys, FIELD(aggregator.mu), from(0, 1e30),
          "fedprox: the silo's loss + mu / 2 x the squared distance from the global model.");
  add_key(keys, FIELD(aggregator.f), from(0, kMostSilos),
          "Hostile silos that the rule stands (krum, multi_krum: 2 f + 3 silos or more, bulyan: 4 "
          "f + 3).");
  Rule keep = from(1, kMostSilos);
  keep.default_text = "silos - f";
  add_key(keys, FIELD(aggregator.keep), keep, "Changes whose mean is taken (multi_krum).");
  add_key(keys, FIELD(aggregator.trim), {.least = 0, .most = 0.5, .below_most = true},
          "Share of the values cut at each end (trimmed_mean).");
  add_key(keys, FIELD(aggregator.bound), positive(), "Largest norm of a change (norm_bound).");
  Rule rank = from(1, 65536);
  rank.default_text = "adapt.lora.r";
  add_key(keys, FIELD(aggregator.rank), rank, "Of the global adapter (lora: svd).");
}

void add_times(std::vector<KeyOf<FederatedOptions>>& keys) {
  const Rule seconds = {.least = 0, .most = kMostSeconds, .above_least = true};
  add_key(keys, FIELD(deadline_s), seconds, "Of a round.");
  add_key(keys, FIELD(quorum), {.least = 0, .most = 1, .above_least = true},
          "Share of the silos that must have answered at the deadline.");
  add_key(keys, FIELD(heartbeat_s), seconds, "Between signs of life of a silo.");
  add_key(keys, FIELD(stall_s), seconds, "Without a byte, after which a transfer is given up.");
  add_key(keys, FIELD(drain_s), seconds, "At the end, for silos that are still sending.");
}

std::vector<KeyOf<FederatedOptions>> federated_keys() {
  std::vector<KeyOf<FederatedOptions>> keys;
  add_key(keys, FIELD(silos), required(), "The silos of the federation.");
  Rule clients = from(1, kMostSilos);
  clients.default_text = "all";
  add_key(keys, FIELD(clients_per_round), clients, "Silos drawn for each round.");
  add_key(keys, FIELD(rounds), from(1, 1e9), "Of local training and aggregation.");
  Rule steps = from(1, kMostSteps);
  steps.default_text = "10";
  add_key(keys, FIELD(local_steps), steps, "Optimizer steps of a silo in a round.");
  add_key(keys, FIELD(local_epochs), {.least = 0, .most = 1e6, .above_least = true},
          "Passes over the silo's data in a round, in place of local_steps.");
  add_key(keys, FIELD(optimizer_state), one_of({"reset", "keep"}),
          "Of a silo's optimizer between rounds.");
  add_aggregator(keys);
  add_key(keys, FIELD(compression), one_of({"none", "bfloat16", "int8", "top_k"}),
          "Of the changes that travel: none, bfloat16, int8, top_k (a share of 0.01), or {top_k: "
          "SHARE}.");
  add_key(keys, FIELD(secure_aggregation), {},
          "false, or {threshold: t}: only the sum of the changes can be seen.");
  add_block(keys, FIELD(privacy),
            "Noise that hides each silo as a whole; that of a record is the block privacy.");
  add_times(keys);
  return keys;
}

}  // namespace

const Schema<SiloOptions>& schema_of(const SiloOptions*) {
  static const Schema<SiloOptions> schema{
      "silo", "{name: hospital-a, ranks: 1, train: [...], valid: [...]}", silo_keys()};
  return schema;
}

const Schema<TopKOptions>& schema_of(const TopKOptions*) {
  static const Schema<TopKOptions> schema{"compression", "{top_k: 0.01}", top_k_keys()};
  return schema;
}

const Schema<SecureAggregationOptions>& schema_of(const SecureAggregationOptions*) {
  static const Schema<SecureAggregationOptions> schema{"secure aggregation", "{threshold: 3}",
                                                       secure_keys()};
  return schema;
}

const Schema<ClientPrivacyOptions>& schema_of(const ClientPrivacyOptions*) {
  static const Schema<ClientPrivacyOptions> schema{
      "privacy of silos", "{clip_norm: 1, noise_multiplier: 1}", client_privacy_keys()};
  return schema;
}

const Schema<FederatedOptions>& schema_of(const FederatedOptions*) {
  static const Schema<FederatedOptions> schema{
      "federation", "{silos: [{name: a, train: [...]}], rounds: 20}", federated_keys()};
  return schema;
}

}  // namespace moesaic
