#include "store/privacy_card.h"

#include "accounting/accountant.h"
#include "accounting/ledger.h"
#include "config/recipe_reader.h"
#include "config/silos.h"
#include "core/path.h"
#include "store/manifest.h"

namespace moesaic {
namespace {

constexpr const char* kNotCovered =
    "## What is not covered\n"
    "\n"
    "- More than one unit: who has several in the data is protected less, by as many times "
    "epsilon\n"
    "  as there are.\n"
    "- The choice of hyper-parameters by looking at other runs on the same data, unless these are\n"
    "  in the same ledger.\n"
    "- Validation data, and a tokenizer that was made of the same data.\n"
    "- The weights that the run started from, and the data that those were trained on.\n"
    "- That the data have about so many units; and what time, memory and files on the machine of\n"
    "  the run tell while it runs.\n";

struct LedgerSays {
  accounting::LedgerReport report;
  double epsilon = 0;
};

LedgerSays ledger_of(const std::string& path, double delta, const std::string& accountant) {
  LedgerSays says;
  try {
    says.report = accounting::read_ledger(path);
  } catch (const Error& error) {
    throw Error(ErrorKind::kCheckpoint,
                format("what the run has spent is not known: {}", error.what()),
                "put the ledger back where the recipe has it");
  }
  MOESAIC_CHECK(says.report.is_whole(), ErrorKind::kCheckpoint,
                "what the run has spent is not known: ledger {} is not whole: {}", path,
                says.report.problem);
  says.epsilon =
      accounting::epsilon_of(says.report.events, delta, accounting::accountant_of(accountant))
          .value;
  return says;
}

bool promises_nothing(const PrivacyOptions& privacy) {
  return privacy.clip_norm == 0 || privacy.noise_multiplier == 0.0;
}

std::string row(const std::string& name, const std::string& value) {
  return format("| {} | {} |\n", name, value);
}

std::string warnings_of(const PrivacyOptions& privacy) {
  std::string text;
  if (promises_nothing(privacy))
    text += "**NOT PRIVATE**: the run had no bound on a unit, or no noise.\n\n";
  if (privacy.noise_seed)
    text += "**NOT PRIVATE**: noise and draws came from a seed in the recipe, for tests.\n\n";
  if (privacy.log_loss)
    text +=
        "The metrics of the run hold exact losses: they are not private, and not to be shown.\n\n";
  return text;
}

// `of`: " of hospital-a" where each silo has its own ledger.
std::string rows_of_ledger(const PrivacyOptions& privacy, const std::string& path,
                           const std::string& of) {
  const LedgerSays says = ledger_of(path, privacy.delta, privacy.accountant);
  std::string text = row("epsilon" + of, format("{:.6g}, an upper bound", says.epsilon));
  text += row("steps charged" + of, format("{}, all runs on the same data together",
                                           accounting::total_steps(says.report.events)));
  return text;
}

// A silo that has not taken part has spent nothing.
std::string rows_of_ledgers(const Recipe& recipe, const Json& training) {
  const PrivacyOptions& privacy = *recipe.privacy;
  if (!recipe.federated) return rows_of_ledger(privacy, privacy.ledger, "");
  std::string text;
  const Json silos = training.value("silos", Json::object());
  for (const auto& [silo, data] : silos.items())
    text += rows_of_ledger(privacy, silo_ledger(recipe, silo), " of " + silo);
  return text;
}

std::string table_of(const Recipe& recipe, const Json& training) {
  const PrivacyOptions& privacy = *recipe.privacy;
  std::string text = "| | |\n| --- | --- |\n";
  text += row("unit", format("{}: one more or less in the training data", privacy.unit));
  if (!promises_nothing(privacy)) {
    text += rows_of_ledgers(recipe, training);
    text += row("delta", format("{}", privacy.delta));
    text += row("accountant", privacy.accountant);
  }
  text += row(recipe.federated ? "rounds" : "steps",
              format("{} of this run", training.value("step", std::int64_t{0})));
  text += row("mechanism", privacy.mechanism);
  text += row("clipping", format("{}, clip_norm {}", privacy.clipping, privacy.clip_norm));
  text += row("sampling", format("{}, {} units a step in the mean", privacy.sampling,
                                 privacy.expected_batch_size));
  return text;
}

std::string card_of_units(const Recipe& recipe, const Json& training) {
  return format(
             "# Privacy\n\nThe weights were trained by the run {} with differential privacy "
             "(DP-SGD).\n\n",
             recipe.name) +
         warnings_of(*recipe.privacy) + table_of(recipe, training) + "\n" + kNotCovered;
}

constexpr const char* kNotCoveredOfSilos =
    "## What is not covered\n"
    "\n"
    "- Who the silos are, and which of them answered in which round.\n"
    "- Whoever adds up the changes, and sees them before the noise of the others is in the sum.\n"
    "- One silo in the place of another one: that is two changes, at twice the norm.\n"
    "- The choice of hyper-parameters by looking at other runs with the same silos, unless these\n"
    "  are in the same ledger.\n"
    "- The weights that the run started from, and a tokenizer that was made of the silos' data.\n";

std::string warnings_of_silos(const ClientPrivacyOptions& privacy) {
  std::string text;
  if (privacy.noise_multiplier == 0)
    text += "**NOT PRIVATE**: the run had no noise on the sum of the silos.\n\n";
  if (privacy.noise_seed)
    text += "**NOT PRIVATE**: the noise came from a seed in the recipe, for tests.\n\n";
  if (privacy.log_loss)
    text +=
        "The metrics of the run hold exact losses: they are not private, and not to be shown.\n\n";
  return text;
}

std::string card_of_silos(const Recipe& recipe, const Json& training) {
  const ClientPrivacyOptions& privacy = *recipe.federated->privacy;
  std::string table = "| | |\n| --- | --- |\n";
  table += row("unit", "silo: all that one silo has added to the rounds, or nothing");
  if (privacy.noise_multiplier > 0) {
    const LedgerSays says = ledger_of(privacy.ledger, privacy.delta, "pld");
    table += row("epsilon", format("{:.6g}, an upper bound", says.epsilon));
    table += row("rounds charged", format("{}, all runs with the same silos together",
                                          accounting::total_steps(says.report.events)));
    table += row("delta", format("{}", privacy.delta));
    table += row("accountant", "pld");
  }
  table += row("rounds", format("{} of this run", training.value("step", std::int64_t{0})));
  table += row("noise", format("{} x clip_norm on the sum, added by the {}",
                               privacy.noise_multiplier, privacy.where));
  table += row("clipping", format("the change of a silo, clip_norm {}", privacy.clip_norm));
  table += row("silos of a round", format("{} of {}", silos_in_round(*recipe.federated),
                                          recipe.federated->silos.size()));
  return format(
             "# Privacy of silos\n\nThe weights were trained by the federation {} with noise "
             "that hides each silo as a whole.\n\n",
             recipe.name) +
         warnings_of_silos(privacy) + table + "\n" + kNotCoveredOfSilos;
}

}  // namespace

std::string privacy_card(const Json& training) {
  if (!training.is_object() || !training.value("recipe", Json()).is_string()) return "";
  const Recipe recipe = recipe_from_yaml(training.at("recipe"), "the run's recipe");
  std::string card;
  if (recipe.privacy) card += card_of_units(recipe, training);
  if (recipe.privacy && recipe.federated && recipe.federated->privacy) card += "\n";
  if (recipe.federated && recipe.federated->privacy) card += card_of_silos(recipe, training);
  return card;
}

std::string privacy_card_of(const std::string& folder) {
  if (!path_exists(folder + "/" + kManifestName, ErrorKind::kCheckpoint)) return "";
  return privacy_card(unseal_manifest(read_manifest(folder), folder).value("training", Json()));
}

}  // namespace moesaic
