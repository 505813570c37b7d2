// The keys of the block privacy.
#include "config/schema_builder.h"

namespace moesaic {
namespace {

using namespace rules;

constexpr double kMostNoise = 1e6;
constexpr double kMostUnits = 1e12;

std::vector<KeyOf<PrivacyBudgetOptions>> budget_keys() {
  std::vector<KeyOf<PrivacyBudgetOptions>> keys;
  add_key(keys, FIELD(epsilon), positive(), "Most that all runs of the ledger may spend together.");
  add_key(keys, FIELD(delta), {.least = 0, .most = 1, .above_least = true, .below_most = true},
          "At which epsilon is counted.");
  return keys;
}

void add_clipping(std::vector<KeyOf<PrivacyOptions>>& keys) {
  add_key(keys, FIELD(clip_norm), from(0, 1e30),
          "Most that one unit's gradient counts, as an L2 norm over all trained parameters; 0 = no "
          "clipping (allow_no_privacy).");
  add_key(keys, FIELD(clipping), one_of({"flat", "per_layer", "automatic", "adaptive"}),
          "flat: one norm; per_layer: clip_norm / sqrt(groups) for each group of plan; automatic: "
          "the factor clip_norm / (norm + 0.01); adaptive: clip_norm follows a quantile of the "
          "norms.");
  add_key(keys, FIELD(adaptive.quantile), from(0, 1),
          "Share of the units whose norm is below clip_norm.");
  add_key(keys, FIELD(adaptive.rate), positive(), "How fast clip_norm follows.");
  Rule noise = from(0, kMostUnits);
  noise.above_least = true;
  add_key(keys, FIELD(adaptive.noise), noise,
          "Standard deviation of the noise on the count of units below clip_norm; null = "
          "expected_batch_size / 20.");
}

void add_mechanism(std::vector<KeyOf<PrivacyOptions>>& keys) {
  add_key(keys, FIELD(noise_multiplier), from(0, kMostNoise),
          "Standard deviation of the noise over clip_norm; this or target_epsilon; 0 charges "
          "nothing (allow_no_privacy).");
  add_key(keys, FIELD(target_epsilon), positive(),
          "What all steps of the run cost; the noise follows from it.");
  add_key(keys, FIELD(delta), {.least = 0, .most = 1, .above_least = true, .below_most = true},
          "At which epsilon is counted; that of the budget where one is given.");
  add_key(keys, FIELD(sampling), one_of({"poisson", "cyclic"}),
          "poisson: each unit is in a step with the same probability; cyclic: in turn (with "
          "mechanism banded_matrix).");
  add_key(keys, FIELD(expected_batch_size), {.least = 0, .most = kMostUnits, .above_least = true},
          "Units of a step in the mean, in place of train.global_batch_size; what their sum is "
          "divided by.");
  add_key(keys, FIELD(max_batch_size), size(),
          "Slots of a step; null = the fewest whose overflow is next to impossible.");
  add_key(keys, FIELD(accountant), one_of({"pld", "rdp"}), "Which bound of epsilon counts.");
  add_key(keys, FIELD(mechanism), one_of({"gaussian", "banded_matrix"}),
          "banded_matrix: noise that later steps take back in part, for units that come in turn.");
  add_key(keys, FIELD(bands), size(), "Steps that share noise (banded_matrix).");
  add_key(keys, FIELD(min_separation), size(),
          "Least steps from one use of a unit to the next (banded_matrix).");
}

std::vector<KeyOf<PrivacyOptions>> privacy_keys() {
  std::vector<KeyOf<PrivacyOptions>> keys;
  add_key(keys, FIELD(unit), one_of({"sequence", "document", "user"}),
          "What is protected: one unit more or less in the data. user: all lines with the same "
          "key `user`.");
  add_clipping(keys);
  add_mechanism(keys);
  add_key(keys, FIELD(ledger), path("<run_dir>/ledger.json"),
          "What was spent; several runs over the same data share one.");
  add_block(keys, FIELD(budget), "Of the ledger, fixed at its first use; absent: none.");
  add_key(keys, FIELD(log_loss), {}, "Losses are written, though they are not private.");
  add_key(keys, FIELD(noise_seed), {},
          "For tests: draws and noise can be foretold, and every output says NOT PRIVATE.");
  add_key(keys, FIELD(allow_no_privacy), {}, "clip_norm 0 and noise 0 are allowed.");
  return keys;
}

}  // namespace

const Schema<PrivacyBudgetOptions>& schema_of(const PrivacyBudgetOptions*) {
  static const Schema<PrivacyBudgetOptions> schema{"budget", "{epsilon: 8.0, delta: 1.0e-6}",
                                                   budget_keys()};
  return schema;
}

const Schema<PrivacyOptions>& schema_of(const PrivacyOptions*) {
  static const Schema<PrivacyOptions> schema{"privacy", "{noise_multiplier: 1.0}", privacy_keys()};
  return schema;
}

}  // namespace moesaic
