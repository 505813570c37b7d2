// What an exported model says of the data that it was trained on in private.
#include "store/privacy_card.h"

#include "accounting/ledger.h"
#include "config/recipe_reader.h"
#include "support/temporary_folder.h"

namespace moesaic {
namespace {

using testing::expect_error;
using testing::TemporaryFolder;

class PrivacyCard : public ::testing::Test {
 protected:
  /// "training" of the manifest of a run, `more` in its block privacy.
  Json training(const std::string& more = "") const {
    const std::string text =
        "name: ward\n"
        "model: {config: {model_type: llama, vocab_size: 272, hidden_size: 64, "
        "num_attention_heads: 4, num_hidden_layers: 2, intermediate_size: 64}}\n"
        "data: {train: [{path: a.jsonl, format: jsonl}]}\n"
        "train: {max_steps: 30}\n"
        "privacy: {noise_multiplier: 2.0, delta: 1.0e-5, ledger: " +
        ledger_ + more + "}\n";
    return {{"step", 7}, {"recipe", to_yaml(require_recipe(folder_.file("r.yaml", text)))}};
  }
  void charge(std::int64_t steps) const {
    accounting::Ledger ledger({.path = ledger_, .terms = {"abc", "sequence", std::nullopt}});
    for (std::int64_t i = 0; i < steps; ++i) ledger.charge({2, 1, 1});
  }

  TemporaryFolder folder_;
  std::string ledger_ = folder_.path() + "/ledger.json";
};

void expect_part(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << "no '" << part << "' in:\n" << text;
}

TEST_F(PrivacyCard, SaysWhatTheLedgerSays) {
  charge(4);  // mu = sqrt(4) / 2 = 1: epsilon 4.377178 at 1e-5, exactly
  const std::string card = privacy_card(training());
  expect_part(card, "run ward");
  expect_part(card, "| unit | sequence: one more or less");
  expect_part(card, "| epsilon | 4.3771");
  expect_part(card, "| delta | 1e-05 |");
  expect_part(card, "| accountant | pld |");
  expect_part(card, "| steps charged | 4, all runs");
  expect_part(card, "| steps | 7 of this run |");
  expect_part(card, "| mechanism | gaussian |");
  expect_part(card, "## What is not covered");
  EXPECT_EQ(card.find("NOT PRIVATE"), std::string::npos);
  charge(4);
  EXPECT_NE(privacy_card(training()), card);
}

TEST_F(PrivacyCard, SaysWhatHidesSilosAsAWhole) {
  const auto of = [&](const std::string& privacy) -> Json {
    const std::string text =
        "name: ward\n"
        "model: {config: {model_type: llama, vocab_size: 272, hidden_size: 64, "
        "num_attention_heads: 4, num_hidden_layers: 2, intermediate_size: 64}}\n"
        "federated: {silos: [{name: a, train: [{path: a.jsonl}]}, {name: b, train: [{path: "
        "b.jsonl}]}], privacy: {" +
        privacy + "delta: 1.0e-5, ledger: " + ledger_ + "}}\n";
    return {{"step", 3}, {"recipe", to_yaml(require_recipe(folder_.file("s.yaml", text)))}};
  };
  const Json training = of("noise_multiplier: 2, clip_norm: 0.5, ");
  expect_error(ErrorKind::kCheckpoint, "ledger.json", [&] { privacy_card(training); });
  accounting::Ledger ledger({.path = ledger_, .terms = {"abc", "silo", std::nullopt}});
  for (int i = 0; i < 4; ++i) ledger.charge({2, 1, 1});
  const std::string card = privacy_card(training);
  expect_part(card, "# Privacy of silos");
  expect_part(card, "| epsilon | 4.3771");
  expect_part(card, "| rounds charged | 4, all runs");
  expect_part(card, "| noise | 2 x clip_norm on the sum, added by the coordinator |");
  expect_part(card, "| clipping | the change of a silo, clip_norm 0.5 |");
  expect_part(card, "| silos of a round | 2 of 2 |");
  EXPECT_EQ(card.find("NOT PRIVATE"), std::string::npos);
  expect_part(privacy_card(of("noise_seed: 1, ")), "NOT PRIVATE");
  expect_part(privacy_card(of("noise_multiplier: 0, allow_no_privacy: true, ")), "NOT PRIVATE");
}

TEST_F(PrivacyCard, HasTheLedgerOfEachSiloThatTookPart) {
  const std::string text =
      "name: ward\n"
      "model: {config: {model_type: llama, vocab_size: 272, hidden_size: 64, "
      "num_attention_heads: 4, num_hidden_layers: 2, intermediate_size: 64}}\n"
      "federated: {silos: [{name: a, train: [{path: a.jsonl}]}, {name: b, train: [{path: "
      "b.jsonl}]},"
      " {name: c, train: [{path: c.jsonl}]}]}\n"
      "privacy: {noise_multiplier: 2.0, delta: 1.0e-5, ledger: " +
      ledger_ + "}\n";
  const Json training = {{"step", 3},
                         {"recipe", to_yaml(require_recipe(folder_.file("r.yaml", text)))},
                         {"silos", {{"a", Json::object()}, {"b", Json::object()}}}};
  for (const auto& [silo, steps] : {std::pair<const char*, int>{"a", 4}, {"b", 1}}) {
    accounting::Ledger ledger({.path = format("{}/silos/{}/ledger.json", folder_.path(), silo),
                               .terms = {silo, "sequence", std::nullopt}});
    for (int i = 0; i < steps; ++i) ledger.charge({2, 1, 1});
  }
  const std::string card = privacy_card(training);
  expect_part(card, "| epsilon of a | 4.3771");
  expect_part(card, "| steps charged of b | 1, all runs");
  expect_part(card, "| rounds | 3 of this run |");
  EXPECT_EQ(card.find(" of c |"), std::string::npos);
}

TEST_F(PrivacyCard, SaysWhatIsNotPrivate) {
  charge(1);
  expect_part(privacy_card(training(", noise_seed: 3")), "**NOT PRIVATE**: noise and draws");
  expect_part(privacy_card(training(", log_loss: true")), "exact losses: they are not private");
  expect_part(privacy_card(training(", clip_norm: 0, allow_no_privacy: true")),
              "**NOT PRIVATE**: the run had no bound");
}

TEST_F(PrivacyCard, OtherRunsHaveNone) {
  EXPECT_EQ(privacy_card(Json()), "");
  EXPECT_EQ(privacy_card({{"step", 3}}), "");
  EXPECT_EQ(privacy_card_of(folder_.path()), "");
}

TEST_F(PrivacyCard, WithoutAWholeLedgerNobodyKnows) {
  expect_error(ErrorKind::kCheckpoint, "what the run has spent is not known",
               [&] { privacy_card(training()); });
  charge(3);
  const std::string text = read_file(ledger_);
  folder_.file("ledger.json",
               text.substr(0, text.find('\n') + 1) + text.substr(text.find('\n') + 9));
  expect_error(ErrorKind::kCheckpoint, "is not whole", [&] { privacy_card(training()); });
}

}  // namespace
}  // namespace moesaic
