#include "engine/federated_run.h"

#include <ATen/ops/matmul.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <map>

#include "accounting/accountant.h"
#include "accounting/ledger.h"
#include "arch/arch.h"
#include "config/lora_targets.h"
#include "core/error.h"
#include "engine/assemble.h"
#include "observe/temp_folder.h"
#include "store/checkpoint_folder.h"
#include "support/small_federation.h"

namespace moesaic {
namespace {

using test::difference;
using test::Federation;

struct Silos {
  testing::TempFolder folder;
  RankContext context = RankContext::single();
  Recipe recipe;
  explicit Silos(int silos) {
    test::write_silos(folder.path(), silos);
    recipe = test::small_federation(folder.path(), silos);
  }
  /// The same in a run folder of its own.
  Recipe in(const std::string& run) const {
    Recipe other = recipe;
    other.run_dir = folder.file(run);
    return other;
  }
};

// One local step on all of a silo's data, and the mean of the changes: what one step on all data
// is.
TEST(FederatedRun, IsCentralTrainingWhereASiloTakesOneFullStep) {
  Silos silos(3);
  const Federation federated(silos.recipe, silos.context);

  Recipe central = silos.recipe;
  central.federated.reset();
  central.data.train = {{.path = silos.folder.file("all.jsonl"), .format = "tokens"}};
  central.train.max_steps = 2;
  central.train.global_batch_size = 12;
  central.run_dir = silos.folder.file("central");
  TrainingParts parts =
      assemble(central, arch::require_options(central.model.config, "small"), silos.context);
  Trainer trainer(silos.context, parts);
  trainer.step(1, {});
  trainer.step(2, {});
  double moved = 0;
  for (const RoundModel::Entry& entry : federated.shared()) {
    const at::Tensor& weight = (*parts.parameters)[entry.index].tensor;
    const double scale = weight.abs().max().item<double>() + 1e-30;
    EXPECT_LT(entry.tensor.sub(weight).abs().max().item<double>() / scale, 1e-10) << entry.name;
    moved += weight.abs().sum().item<double>();
  }
  EXPECT_GT(moved, 0);
}

TEST(FederatedRun, WritesARowForEachRound) {
  Silos silos(3);
  const Federation run(silos.recipe, silos.context);
  ASSERT_EQ(run.rows.size(), 2U);
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(run.rows[i].step, static_cast<std::int64_t>(i) + 1);
    EXPECT_EQ(*run.rows[i].find("round"), static_cast<double>(i) + 1);
    for (const char* name : {"silo_s0_loss", "silo_s1_loss", "silo_s2_loss", "valid_loss"})
      ASSERT_NE(run.rows[i].find(name), nullptr) << name;
  }
  // Validation is on the training data here: a round makes it smaller.
  EXPECT_LT(*run.rows[1].find("valid_loss"), *run.rows[0].find("valid_loss"));
  EXPECT_LT(*run.rows[1].find("loss"), *run.rows[0].find("loss"));
}

/// The silos of a federation in this process, whose rounds are put together by hand.
struct SilosByHand {
  const Recipe& recipe;
  const RankContext& context;
  std::vector<std::unique_ptr<RoundModel>> models;
  std::vector<std::unique_ptr<SiloTraining>> silos;

  SilosByHand(const Recipe& of, const RankContext& with) : recipe(of), context(with) {
    for (std::size_t k = 0; k < recipe.federated->silos.size(); ++k) {
      TrainingParts parts = assemble(silo_recipe(recipe, recipe.federated->silos[k]),
                                     arch::require_options(recipe.model.config, "small"), context);
      models.push_back(std::make_unique<RoundModel>());
      models[k]->take(*parts.parameters, kinds_of(recipe, *parts.parameters));
      silos.push_back(
          std::make_unique<SiloTraining>(recipe, k, context, *models[k], std::move(parts)));
    }
  }
  static at::Tensor find(const RoundModel& model, const std::string& name) {
    for (const RoundModel::Entry& entry : test::entries_of(model))
      if (entry.name == name) return entry.tensor;
    ADD_FAILURE() << "there is no " << name;
    return {};
  }
  void set(const std::string& name, const at::Tensor& value) {
    for (const auto& model : models) find(*model, name).copy_(value);
  }
  /// All silos weigh alike, and the learned weights are W + 3 B A with the mean of the products.
  void round(std::int64_t number) {
    StopSignal stop;
    std::vector<std::map<std::string, at::Tensor>> after(silos.size());
    for (std::size_t k = 0; k < silos.size(); ++k) {
      const SiloTraining::Round trained = silos[k]->train(number, {}, stop);
      const auto& shared = models[k]->shared();
      for (std::size_t i = 0; i < shared.size(); ++i)
        after[k][shared[i].name] = shared[i].tensor.add(trained.change[i]);
    }
    const auto mean = [&](const auto& of_silo) {
      at::Tensor sum = of_silo(after[0]);
      for (std::size_t k = 1; k < after.size(); ++k) sum = sum.add(of_silo(after[k]));
      return sum.div(static_cast<double>(after.size()));
    };
    for (const RoundModel::Entry& base : test::entries_of(*models[0])) {
      if (base.scale == 0) continue;
      const std::string a = lora_a_name(base.name), b = lora_b_name(base.name);
      const at::Tensor product =
          mean([&](const auto& silo) { return at::matmul(silo.at(b), silo.at(a)); });
      const bool anew = recipe.federated->aggregator.lora == "stacking";
      const at::Tensor old_a = find(*models[0], a).clone();
      const at::Tensor new_a = anew ? old_a : mean([&](const auto& silo) { return silo.at(a); });
      const at::Tensor new_b =
          mean([&](const auto& silo) { return silo.at(b); }).mul(anew ? 0.0 : 1.0);
      set(base.name, base.tensor.add(product.sub(at::matmul(new_b, new_a)), 3).clone());
      set(a, new_a);
      set(b, new_b);
    }
  }
};

TEST(FederatedRun, StackingAndResidualTrainOnFromTheMeanOfTheProducts) {
  for (const char* lora : {"stacking", "residual"}) {
    Silos silos(3);
    test::add_adapters(lora, silos.recipe);
    const Federation run(silos.recipe, silos.context);
    const Recipe again = silos.in("by-hand");
    SilosByHand hand(again, silos.context);
    const auto start = test::entries_of(*hand.models[0]);
    std::vector<at::Tensor> before;
    for (const RoundModel::Entry& entry : start) before.push_back(entry.tensor.clone());
    hand.round(1);
    hand.round(2);
    std::size_t moved = 0;
    const auto found = test::entries_of(run.run->model());
    ASSERT_EQ(found.size(), start.size());
    for (std::size_t i = 0; i < found.size(); ++i) {
      const at::Tensor expected = SilosByHand::find(*hand.models[0], found[i].name);
      EXPECT_LT(found[i].tensor.sub(expected).abs().max().item<double>(), 1e-12)
          << lora << ": " << found[i].name;
      if (found[i].scale == 0) continue;
      EXPECT_EQ(found[i].scale, 3) << found[i].name;
      moved += expected.sub(before[i]).abs().max().item<double>() > 1e-10 ? 1 : 0;
    }
    EXPECT_GT(moved, 4U) << lora;
  }
}

TEST(FederatedRun, RefusesOneFactorOfAnAdapterThatMovesTheBase) {
  Silos silos(2);
  test::add_adapters("residual", silos.recipe);
  silos.recipe.federated->aggregator.private_names = {".*lora_B.*"};
  EXPECT_THROW(Federation(silos.recipe, silos.context), Error);
}

// What silos and server keep is on disk: to stop after a round and to go on makes no difference.
void expect_same_after_resume(const std::string& type, const std::string& optimizer_state) {
  Silos silos(4);
  silos.recipe.federated->rounds = 5;
  silos.recipe.federated->local_steps = 2;
  silos.recipe.federated->clients_per_round = 3;
  silos.recipe.federated->optimizer_state = optimizer_state;
  silos.recipe.federated->aggregator.type = type;
  silos.recipe.federated->aggregator.private_names = {"model\\.norm\\.weight"};
  silos.recipe.optimizer.momentum = type == "scaffold" ? 0 : 0.5;
  const Federation whole(silos.in("whole"), silos.context);
  Recipe cut = silos.in("cut");
  cut.federated->rounds = 2;
  Federation(cut, silos.context);
  cut.federated->rounds = 5;
  const Federation resumed(cut, silos.context, "auto");
  EXPECT_EQ(difference(whole, resumed), 0) << type;
  EXPECT_EQ(whole.run->server(), resumed.run->server()) << type;
  ASSERT_EQ(resumed.rows.size(), 3U);
  EXPECT_EQ(*resumed.rows[2].find("valid_loss"), *whole.rows[4].find("valid_loss"));
}

TEST(FederatedRun, GoesOnToTheSameBits) {
  expect_same_after_resume("scaffold", "reset");
  expect_same_after_resume("fedadam", "keep");
  expect_same_after_resume("fednova", "keep");
}

TEST(FederatedRun, KeepsPrivateParametersInTheirSilo) {
  Silos silos(2);
  silos.recipe.federated->aggregator.private_names = {"model\\.norm\\.weight"};
  const Federation run(silos.recipe, silos.context);
  for (const RoundModel::Entry& entry : run.shared()) EXPECT_NE(entry.name, "model.norm.weight");
  ASSERT_EQ(run.run->model().own().size(), 1U);
  EXPECT_EQ(run.run->model().own()[0].tensor.sub(1).abs().max().item<double>(), 0);  // as it began
  EXPECT_TRUE(std::filesystem::exists(silos.recipe.run_dir + "/silos/s1/checkpoints/latest"));
}

TEST(FederatedRun, RefusesAPrivatePatternThatMatchesNothing) {
  Silos silos(2);
  silos.recipe.federated->aggregator.private_names = {"nothing"};
  EXPECT_THROW(Federation(silos.recipe, silos.context), Error);
}

// The pull keeps a silo's own steps short.
TEST(FederatedRun, ProximalPullShortensTheWayOfARound) {
  Silos silos(2);
  silos.recipe.federated->rounds = 1;
  silos.recipe.federated->local_steps = 6;
  Recipe still = silos.in("still");
  still.federated->rounds = 1;
  still.optimizer.learning_rate = 1e-12;
  const Federation start(still, silos.context);
  const Federation free_run(silos.in("free"), silos.context);
  Recipe pulled = silos.in("pulled");
  pulled.federated->aggregator.type = "fedprox";
  pulled.federated->aggregator.mu = 2;
  const Federation near(pulled, silos.context);
  EXPECT_LT(difference(start, near), difference(start, free_run));
  pulled.run_dir = silos.folder.file("zero");
  pulled.federated->aggregator.mu = 0;
  EXPECT_EQ(difference(free_run, Federation(pulled, silos.context)), 0);
}

/// All units of a silo are in each of its steps.
Recipe in_private(Recipe recipe) {
  PrivacyOptions& privacy = recipe.privacy.emplace();
  privacy.noise_multiplier = 2;
  privacy.expected_batch_size = 4;
  privacy.ledger = recipe.run_dir + "/ledger.json";
  recipe.federated->local_steps = 3;
  return recipe;
}

std::int64_t charged(const Recipe& recipe, const std::string& silo) {
  return accounting::total_steps(accounting::read_ledger(silo_ledger(recipe, silo)).events);
}

TEST(FederatedRun, EachSiloPaysIntoItsOwnLedgerAndShowsNoLoss) {
  Silos silos(2);
  const Recipe recipe = in_private(silos.recipe);
  const Federation run(recipe, silos.context);
  for (const char* silo : {"s0", "s1"}) EXPECT_EQ(charged(recipe, silo), 6) << silo;
  ASSERT_EQ(run.rows.size(), 2U);
  for (const MetricsRow& row : run.rows) {
    EXPECT_EQ(row.find("valid_loss"), nullptr);  // of the training data
    ASSERT_NE(row.find("epsilon"), nullptr);
    for (const char* name : {"loss", "silo_s0_loss", "silo_s1_loss"}) {
      const double* loss = row.find(name);
      EXPECT_TRUE(loss == nullptr || std::isnan(*loss)) << name;
    }
  }
  EXPECT_FALSE(std::filesystem::exists(recipe.privacy->ledger));  // of nobody
}

ErrorKind kind_of_run(const Recipe& recipe, const RankContext& context, const std::string& resume,
                      std::string& message) {
  try {
    Federation(recipe, context, resume);
  } catch (const Error& error) {
    message = error.what();
    return error.kind();
  }
  ADD_FAILURE() << "nothing was refused";
  return ErrorKind::kInternal;
}

TEST(FederatedRun, ABudgetEndsItAfterTheLastRoundThatIsPaid) {
  Silos silos(2);
  Recipe recipe = in_private(silos.recipe);
  const double of_four =
      accounting::epsilon_of({{2, 1, 4}}, 1e-6, accounting::Accountant::kPld).value;
  recipe.privacy->budget = PrivacyBudgetOptions{of_four + 1e-3, 1e-6};
  std::string message;
  EXPECT_EQ(kind_of_run(recipe, silos.context, "", message), ErrorKind::kBudget);
  EXPECT_NE(message.find("silo s0, round 2: "), std::string::npos) << message;
  EXPECT_EQ(charged(recipe, "s0"), 4);
  EXPECT_EQ(charged(recipe, "s1"), 3);
  EXPECT_TRUE(std::filesystem::exists(recipe.run_dir + "/checkpoints/latest"));
}

TEST(FederatedRun, GoesOnOnlyWithTheLedgersThatItsSilosHad) {
  Silos silos(2);
  Recipe recipe = in_private(silos.recipe);
  Federation(recipe, silos.context);
  recipe.federated->rounds = 3;
  Federation(recipe, silos.context, "auto");
  EXPECT_EQ(charged(recipe, "s1"), 9);
  std::filesystem::remove(silo_ledger(recipe, "s1"));
  recipe.federated->rounds = 4;
  std::string message;
  EXPECT_EQ(kind_of_run(recipe, silos.context, "auto", message), ErrorKind::kCheckpoint);
  EXPECT_NE(message.find("silo s1, round 4: "), std::string::npos) << message;
}

std::int64_t rounds_charged(const Recipe& recipe) {
  const auto says = accounting::read_ledger(recipe.federated->privacy->ledger);
  EXPECT_TRUE(says.is_whole());
  EXPECT_EQ(says.terms->unit, "silo");
  return accounting::total_steps(says.events);
}

double epsilon_of_rounds(double noise, std::int64_t rounds) {
  return accounting::epsilon_of({{noise, 1, rounds}}, 1e-6, accounting::Accountant::kPld).value;
}

TEST(FederatedRun, TellsNothingOfHiddenSilosThatHasNoNoise) {
  for (const char* where : {"coordinator", "silos"}) {
    Silos silos(3);
    test::hide_silos(where, silos.recipe);
    const Federation run(silos.recipe, silos.context);
    ASSERT_EQ(run.rows.size(), 2U);
    for (const MetricsRow& row : run.rows) {
      for (const auto& [name, value] : row.values) {
        EXPECT_EQ(name.find("loss"), std::string::npos) << where;
        EXPECT_EQ(name.find("tokens"), std::string::npos) << where;
      }
      ASSERT_NE(row.find("epsilon"), nullptr);
      EXPECT_NEAR(*row.find("epsilon"), epsilon_of_rounds(2, row.step), 1e-9);
      EXPECT_EQ(*row.find("not_private"), 1);
    }
    EXPECT_EQ(rounds_charged(silos.recipe), 2);
  }
}

TEST(FederatedRun, ShowsLossesOfHiddenSilosOnlyWhereAsked) {
  Silos silos(2);
  test::hide_silos("silos", silos.recipe);
  silos.recipe.federated->privacy->log_loss = true;
  const Federation run(silos.recipe, silos.context);
  for (const char* name : {"loss", "silo_s0_loss", "valid_loss", "tokens"})
    EXPECT_NE(run.rows.at(0).find(name), nullptr) << name;
}

// What a round without noise has made is taken from one with noise.
TEST(FederatedRun, TheSumOfHiddenSilosHasTheNoiseAskedFor) {
  for (const char* where : {"coordinator", "silos"}) {
    Silos silos(3);
    test::hide_silos(where, silos.recipe);
    silos.recipe.federated->rounds = 1;
    const Federation noisy(silos.recipe, silos.context);
    Recipe plain = silos.in("plain");
    plain.federated->privacy->noise_multiplier = 0;
    plain.federated->privacy->allow_no_privacy = true;
    plain.federated->privacy->ledger = plain.run_dir + "/none.json";
    const Federation still(plain, silos.context);
    EXPECT_FALSE(std::filesystem::exists(plain.federated->privacy->ledger));
    EXPECT_EQ(still.rows.at(0).find("epsilon"), nullptr);
    double squares = 0, count = 0;
    for (std::size_t i = 0; i < noisy.shared().size(); ++i) {
      const at::Tensor noise = noisy.shared()[i].tensor.sub(still.shared()[i].tensor).mul(3);
      squares += noise.square().sum().item<double>();
      count += static_cast<double>(noise.numel());
    }
    const double variance = std::pow(2 * 0.01, 2);
    EXPECT_NEAR(squares / count / variance, 1, 6 * std::sqrt(2 / count)) << where;
  }
}

TEST(FederatedRun, ABudgetOfHiddenSilosEndsItAfterTheLastRoundThatIsPaid) {
  Silos silos(2);
  test::hide_silos("coordinator", silos.recipe);
  silos.recipe.federated->rounds = 4;
  silos.recipe.federated->privacy->budget =
      PrivacyBudgetOptions{epsilon_of_rounds(2, 3) + 1e-3, 1e-6};
  std::string message;
  EXPECT_EQ(kind_of_run(silos.recipe, silos.context, "", message), ErrorKind::kBudget);
  EXPECT_NE(message.find("3 rounds cost"), std::string::npos) << message;
  EXPECT_EQ(rounds_charged(silos.recipe), 3);
  EXPECT_EQ(kind_of_run(silos.recipe, silos.context, "auto", message), ErrorKind::kBudget);
  EXPECT_EQ(rounds_charged(silos.recipe), 3);
}

// The round that is done again has other noise, which is paid for, too.
TEST(FederatedRun, ChargesARoundOfHiddenSilosThatIsDoneAgain) {
  Silos silos(2);
  test::hide_silos("silos", silos.recipe);
  silos.recipe.federated->privacy->noise_seed.reset();
  const Federation first(silos.recipe, silos.context);
  std::string after_one;
  for (const FoundCheckpoint& found : list_checkpoints(silos.recipe.run_dir + "/checkpoints"))
    if (found.step == 1) after_one = found.path;
  ASSERT_FALSE(after_one.empty());
  const Federation again(silos.recipe, silos.context, after_one);
  EXPECT_EQ(rounds_charged(silos.recipe), 3);
  EXPECT_GT(difference(first, again), 0);
  EXPECT_NEAR(*again.rows.at(0).find("epsilon"), epsilon_of_rounds(2, 3), 1e-9);
  std::filesystem::remove(silos.recipe.federated->privacy->ledger);
  std::string message;
  EXPECT_EQ(kind_of_run(silos.recipe, silos.context, "auto", message), ErrorKind::kCheckpoint);
}

TEST(FederatedRun, HidesSilosAndTheirRecordsInOneRun) {
  Silos silos(2);
  Recipe recipe = in_private(silos.recipe);
  test::hide_silos("silos", recipe);
  const Federation run(recipe, silos.context);
  EXPECT_EQ(charged(recipe, "s1"), 6);
  EXPECT_EQ(rounds_charged(recipe), 2);
  EXPECT_NEAR(*run.rows.at(1).find("epsilon"), epsilon_of_rounds(2, 2), 1e-9);
  EXPECT_NEAR(*run.rows.at(1).find("record_epsilon"), epsilon_of_rounds(2, 6), 1e-3);
}

TEST(FederatedRun, NamesSiloAndRoundOfAnError) {
  Silos silos(2);
  for (SiloOptions& silo : silos.recipe.federated->silos) silo.valid.clear();
  write_file_atomic(silos.folder.file("silo-1.jsonl"), "{\"ids\": [1, 2, 99, 4, 5, 6, 7]}\n");
  try {
    Federation(silos.recipe, silos.context);
    FAIL() << "it went on";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kData);
    EXPECT_NE(std::string(error.what()).find("silo s1, round 1: "), std::string::npos)
        << error.what();
  }
}

}  // namespace
}  // namespace moesaic
