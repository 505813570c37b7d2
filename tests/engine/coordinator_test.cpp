#include "engine/coordinator.h"

#include <ATen/ops/equal.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>

#include "accounting/accountant.h"
#include "accounting/ledger.h"
#include "core/clock.h"
#include "core/error.h"
#include "observe/temp_folder.h"
#include "support/fake_silos.h"

namespace moesaic {
namespace {

using test::FakeSilos;
using Sent = FakeSilos::Sent;

/// Silos, and a coordinator that begins anew with each start().
struct Sites {
  testing::TempFolder folder;
  RankContext context = RankContext::single();
  Recipe recipe;
  std::vector<MetricsRow> rows;
  std::map<std::string, std::vector<std::string>> refused;
  std::vector<at::Tensor> model;

  explicit Sites(int silos = 3) {
    test::write_silos(folder.path(), silos);
    recipe = test::small_federation(folder.path(), silos);
    recipe.federated->drain_s = 1;
    recipe.federated->deadline_s = 20;
  }
  Recipe of_silos() const {
    Recipe silos = recipe;
    silos.run_dir = folder.file("sites");
    return silos;
  }
  void start(const std::function<void(FakeSilos&)>& prepare = {}) {
    FakeSilos silos(of_silos(), context, folder.file("sent"));
    if (prepare) prepare(silos);
    GlobalModel global(recipe, context);
    RoundJournal journal(rounds_folder(recipe.run_dir) + "/journal.jsonl");
    Coordinator coordinator(recipe, context, global, journal, silos);
    coordinator.add_sink(std::make_unique<test::KeptRows>(rows));
    StopSignal stop;
    const auto look = [&] {
      refused = silos.refused;
      model.clear();
      for (const RoundModel::Entry& entry : test::entries_of(global.model()))
        model.push_back(entry.tensor.clone());
    };
    try {
      coordinator.run(stop);
    } catch (...) {
      look();
      throw;
    }
    look();
  }
  /// The largest difference from the model of the federation in one job.
  double away_from_one_job(const Recipe& other) const {
    Recipe one = other;
    one.run_dir = folder.file("one-job");
    one.federated->secure_aggregation = Off();
    std::filesystem::remove_all(one.run_dir);
    const test::Federation run(one, context);
    double largest = 0;
    for (std::size_t i = 0; i < run.shared().size(); ++i)
      largest =
          std::max(largest, model.at(i).sub(run.shared()[i].tensor).abs().max().item<double>());
    return largest;
  }
  /// Whether the model has the bits of the federation in one job.
  bool is_that_of_one_job(const Recipe& other) const {
    Recipe one = other;
    one.run_dir = folder.file("one-job");
    std::filesystem::remove_all(one.run_dir);
    const test::Federation run(one, context);
    const auto entries = test::entries_of(run.run->model());
    bool equal = model.size() == entries.size();
    for (std::size_t i = 0; equal && i < model.size(); ++i)
      equal = at::equal(model[i], entries[i].tensor);
    return equal;
  }
};

TEST(Coordinator, GivesTheBitsOfOneJob) {
  for (const char* type : {"fedavg", "fedadam", "scaffold", "median"}) {
    Sites sites;
    sites.recipe.federated->aggregator.type = type;
    sites.recipe.federated->local_steps = 2;
    sites.start();
    EXPECT_TRUE(sites.is_that_of_one_job(sites.recipe)) << type;
    ASSERT_EQ(sites.rows.size(), 2U);
    EXPECT_NE(sites.rows[1].find("silo_s2_loss"), nullptr);
    EXPECT_TRUE(sites.refused.empty());
  }
}

// The base goes to the silos with the rest of the model. (Going on needs a model.from:
// e2e.federated_adapters_test.)
TEST(Coordinator, GivesTheBitsOfOneJobWhereAdaptersMoveTheBase) {
  for (const char* lora : {"stacking", "residual"}) {
    Sites sites;
    test::add_adapters(lora, sites.recipe);
    sites.start();
    EXPECT_TRUE(sites.is_that_of_one_job(sites.recipe)) << lora;
  }
}

TEST(Coordinator, GivesTheBitsOfOneJobWhereChangesAreCompressed) {
  Sites sites;
  sites.recipe.federated->compression = std::string("int8");
  sites.start();
  EXPECT_TRUE(sites.is_that_of_one_job(sites.recipe));
}

TEST(Coordinator, LeavesAFileOfEachRoundAndAWholeJournal) {
  Sites sites;
  sites.start();
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(rounds_folder(sites.recipe.run_dir)))
    files += entry.path().extension() == ".safetensors" ? 1 : 0;
  EXPECT_EQ(files, 2U);
  const RoundJournal journal(rounds_folder(sites.recipe.run_dir) + "/journal.jsonl");
  EXPECT_EQ(journal.last("close"), 2);
  EXPECT_EQ(journal.last("end"), 2);
  EXPECT_EQ(journal.find("answer", 1).size(), 3U);
  for (const std::int64_t round : {1, 2}) {
    const std::vector<Json> times = journal.find("time", round);
    ASSERT_EQ(times.size(), 1U);
    const auto of = [&](const char* key) { return times[0].at(key).get<double>(); };
    EXPECT_GT(of("first_s"), 0.0);
    EXPECT_LE(of("first_s"), of("last_s"));
    EXPECT_LE(of("last_s") + of("add_s") + of("save_s") + of("offer_s"), of("seconds"));
    const MetricsRow& row = sites.rows.at(static_cast<std::size_t>(round) - 1);
    EXPECT_EQ(*row.find("step_s"), of("seconds"));
  }
  const std::size_t rows = sites.rows.size();
  sites.start();  // finished: nothing happens
  EXPECT_EQ(sites.rows.size(), rows);
}

// Killed after each of its messages in turn, always in the same run folder.
TEST(Coordinator, GoesOnToTheSameModelAfterAnyMessage) {
  Sites sites;
  sites.recipe.federated->aggregator.type = "fedavgm";
  for (int after = 0; after < 40; ++after) {
    try {
      sites.start([&](FakeSilos& silos) { silos.dies_after = after; });
      break;
    } catch (const std::runtime_error& error) {
      ASSERT_STREQ(error.what(), "killed");
    }
  }
  EXPECT_TRUE(sites.is_that_of_one_job(sites.recipe));
  EXPECT_EQ(sites.rows.back().step, 2);
}

// Three silos join and are ready, two changes come.
TEST(Coordinator, AsksAgainForAChangeThatIsDamagedOnItsDisk) {
  Sites sites;
  EXPECT_THROW(sites.start([](FakeSilos& silos) { silos.dies_after = 8; }), std::runtime_error);
  const std::string file = exchange_folder(sites.recipe.run_dir) + "/round-000001.s1.safetensors";
  const std::string whole = read_file(file);
  write_file_atomic(file, whole.substr(0, whole.size() - 4));
  sites.start();
  EXPECT_TRUE(sites.is_that_of_one_job(sites.recipe));
  const RoundJournal journal(rounds_folder(sites.recipe.run_dir) + "/journal.jsonl");
  EXPECT_EQ(journal.find("answer", 1).size(), 4U);
  EXPECT_EQ(journal.find("close", 1).at(0).at("silos").size(), 3U);
}

// What the journal lacks after the checkpoint was saved is written when it begins again.
TEST(Coordinator, BringsAJournalUpThatWasCutAfterTheCheckpoint) {
  Sites sites;
  sites.start();
  const std::string path = rounds_folder(sites.recipe.run_dir) + "/journal.jsonl";
  const std::string text = read_file(path);
  const std::size_t close = text.rfind("\"event\":\"close\"");
  ASSERT_NE(close, std::string::npos);
  write_file_atomic(path, text.substr(0, text.rfind('\n', close) + 1));
  sites.rows.clear();
  sites.start();
  EXPECT_EQ(RoundJournal(path).last("close"), 2);
  ASSERT_EQ(sites.rows.size(), 1U);
  EXPECT_EQ(sites.rows[0].step, 2);
  EXPECT_NE(sites.rows[0].find("silo_s0_loss"), nullptr);
}

TEST(Coordinator, ClosesARoundWithoutASiloThatIsSilent) {
  Sites sites;
  sites.recipe.federated->deadline_s = 1;
  sites.recipe.federated->rounds = 1;
  const Stopwatch watch;
  sites.start([](FakeSilos& silos) {
    silos.faults["s1"] = [](const Sent&) { return std::vector<Sent>(); };
  });
  EXPECT_LT(watch.seconds(), 10);
  ASSERT_EQ(sites.rows.size(), 1U);
  EXPECT_EQ(sites.rows[0].find("silo_s1_loss"), nullptr);
  EXPECT_NE(sites.rows[0].find("silo_s2_loss"), nullptr);
}

TEST(Coordinator, EndsARoundWithoutItsQuorumAndNamesTheSilos) {
  Sites sites;
  sites.recipe.federated->deadline_s = 1;
  sites.recipe.federated->quorum = 1;
  try {
    sites.start([](FakeSilos& silos) {
      silos.faults["s1"] = [](const Sent&) { return std::vector<Sent>(); };
    });
    FAIL() << "it went on";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kCommunication);
    const std::string text = error.what();
    EXPECT_NE(text.find("round 1: 2 of 3"), std::string::npos) << text;
    EXPECT_NE(text.find("s1 has not answered in time"), std::string::npos) << text;
  }
}

/// The same file under another name, with its message.
Sent copy_of(const Sent& sent, const std::string& ending) {
  Sent copy = sent;
  copy.file = sent.file + ending;
  write_file_atomic(copy.file, read_file(sent.file));
  return copy;
}

TEST(Coordinator, CountsNothingTwice) {
  Sites sites;
  Sent first;
  sites.start([&](FakeSilos& silos) {
    silos.faults["s1"] = [&](const Sent& sent) {
      std::vector<Sent> all = {sent, copy_of(sent, ".again")};
      if (sent.message.round == 1) first = copy_of(sent, ".kept");
      if (sent.message.round == 2) {  // one of the round before, as of this one
        Sent replayed = first;
        replayed.message.round = 2;
        all.push_back(replayed);
        all.push_back(first);  // and as it was, which has counted
      }
      return all;
    };
  });
  EXPECT_TRUE(sites.is_that_of_one_job(sites.recipe));
  const RoundJournal journal(rounds_folder(sites.recipe.run_dir) + "/journal.jsonl");
  EXPECT_EQ(journal.find("answer", 1).size(), 3U);
  EXPECT_EQ(journal.find("answer", 2).size(), 3U);
}

// The model is that of a federation which never had the silo.
TEST(Coordinator, GoesOnWithoutAChangeThatCannotBeUsed) {
  Sites sites;
  sites.recipe.federated->rounds = 1;
  sites.start([](FakeSilos& silos) {
    silos.faults["s2"] = [](const Sent& sent) {
      write_file_atomic(sent.file, "no tensors at all");
      return std::vector<Sent>{sent};
    };
  });
  ASSERT_EQ(sites.refused["s2"].size(), 1U);
  EXPECT_NE(sites.refused["s2"][0].find("silo s2: its change"), std::string::npos);
  Recipe two = sites.recipe;
  two.federated->silos.pop_back();
  EXPECT_TRUE(sites.is_that_of_one_job(two));
}

// A silo that claims to have seen everything would be the mean.
TEST(Coordinator, RefusesMoreThanASiloCanHaveDoneInARound) {
  const std::vector<std::pair<const char*, Json>> claims = {
      {"examples", 5}, {"tokens", 1e300}, {"steps", 1e18}, {"bytes", -1}, {"bytes", 1e300}};
  for (const auto& [key, value] : claims) {
    Sites sites;
    sites.recipe.federated->rounds = 1;
    sites.start([&](FakeSilos& silos) {
      silos.faults["s2"] = [&](const Sent& sent) {
        Sent other = sent;
        other.message.body["notes"][key] = value;
        return std::vector<Sent>{other};
      };
    });
    ASSERT_EQ(sites.refused["s2"].size(), 1U) << key;
    EXPECT_NE(sites.refused["s2"][0].find("silo s2 says that"), std::string::npos) << key;
    EXPECT_EQ(sites.rows.at(0).find("silo_s2_loss"), nullptr);
  }
}

/// The last value of the file is no number.
Sent with_a_value_that_is_not_finite(const Sent& sent) {
  std::string bytes = read_file(sent.file);
  std::fill(bytes.end() - 8, bytes.end(), '\xff');
  write_file_atomic(sent.file, bytes);
  return sent;
}

// Krum with f = 1 needs five silos. One that is refused is the hostile one: four others and f = 0.
TEST(Coordinator, CountsARefusedSiloAmongTheHostileOnes) {
  for (const char* type : {"krum", "multi_krum"}) {
    Sites sites(5);
    sites.recipe.federated->aggregator.type = type;
    sites.recipe.federated->rounds = 1;
    sites.recipe.federated->quorum = 0.8;
    sites.start([](FakeSilos& silos) {
      silos.faults["s4"] = [](const Sent& sent) {
        return std::vector<Sent>{with_a_value_that_is_not_finite(sent)};
      };
    });
    ASSERT_EQ(sites.refused["s4"].size(), 1U);
    EXPECT_NE(sites.refused["s4"][0].find("is not finite"), std::string::npos);
    Recipe four = sites.recipe;
    four.federated->silos.pop_back();
    four.federated->aggregator.f = 0;
    EXPECT_TRUE(sites.is_that_of_one_job(four)) << type;
    const RoundJournal journal(rounds_folder(sites.recipe.run_dir) + "/journal.jsonl");
    const Json close = journal.find("close", 1).at(0);
    EXPECT_EQ(close.at("refused"), Json::array({"s4"}));
    EXPECT_EQ(close.at("f"), 0);
    ASSERT_NE(sites.rows.at(0).find("silos_refused"), nullptr);
    EXPECT_EQ(*sites.rows.at(0).find("silos_refused"), 1);
  }
}

// What is refused is remembered by the journal: a coordinator that begins anew goes on as before.
TEST(Coordinator, KnowsWhoWasRefusedBeforeItWasKilled) {
  Sites sites(5);
  sites.recipe.federated->aggregator.type = "krum";
  sites.recipe.federated->rounds = 1;
  sites.recipe.federated->deadline_s = 3;
  const auto hostile = [](FakeSilos& silos) {
    silos.faults["s0"] = [](const Sent& sent) {
      return std::vector<Sent>{with_a_value_that_is_not_finite(sent)};
    };
  };
  const auto refused = [&] {
    const RoundJournal journal(rounds_folder(sites.recipe.run_dir) + "/journal.jsonl");
    return journal.find("refused", 1).size();
  };
  int after = 10;
  do {
    ASSERT_LT(after, 40);
    EXPECT_THROW(sites.start([&](FakeSilos& silos) {
      hostile(silos);
      silos.dies_after = after;
    }),
                 std::runtime_error);
    ++after;
  } while (refused() == 0);
  sites.start([](FakeSilos& silos) {  // now it is silent
    silos.faults["s0"] = [](const Sent&) { return std::vector<Sent>(); };
  });
  ASSERT_EQ(sites.rows.size(), 1U);
  EXPECT_EQ(sites.rows[0].find("silo_s0_loss"), nullptr);
}

struct SecureSites : Sites {
  explicit SecureSites(std::int64_t threshold) {
    recipe.federated->secure_aggregation = SecureAggregationOptions{threshold};
    recipe.federated->rounds = 1;
  }
};

// 2^31 / 3 levels to 1: the mean is right to 2e-9.
TEST(Coordinator, FindsTheMeanOfWhichItSeesTheSumAlone) {
  for (const char* type : {"fedavg", "fedadam", "fednova"}) {
    SecureSites sites(2);
    sites.recipe.federated->local_steps = 2;
    sites.recipe.federated->aggregator.type = type;
    sites.recipe.federated->aggregator.tau = 1;  // else a rounding error counts much
    sites.start();
    EXPECT_LT(sites.away_from_one_job(sites.recipe), 1e-8) << type;
  }
}

/// What may go with a secure sum, and how it is set.
struct SecureCase {
  const char* name;
  std::function<void(FederatedOptions&)> set;
};
const std::vector<SecureCase>& secure_cases() {
  static const std::vector<SecureCase> cases = {
      {"weights", [](FederatedOptions& f) { f.aggregator.weights = "tokens"; }},
      {"scaffold", [](FederatedOptions& f) { f.aggregator.type = "scaffold"; }},
      {"norm_bound",
       [](FederatedOptions& f) {
         f.aggregator.type = "norm_bound";
         f.aggregator.bound = 0.05;
       }},
      {"routed_tokens", [](FederatedOptions& f) { f.aggregator.experts = "routed_tokens"; }},
      {"routed_tokens with fednova",
       [](FederatedOptions& f) {
         f.aggregator.experts = "routed_tokens";
         f.aggregator.type = "fednova";
       }},
      {"routed_tokens with scaffold",
       [](FederatedOptions& f) {
         f.aggregator.experts = "routed_tokens";
         f.aggregator.type = "scaffold";
       }},
      {"bfloat16", [](FederatedOptions& f) { f.compression = "bfloat16"; }},
      {"int8", [](FederatedOptions& f) { f.compression = "int8"; }},
      {"top_k", [](FederatedOptions& f) { f.compression = TopKOptions{.top_k = 0.1}; }}};
  return cases;
}

// Masks cancel: in one job there are none, and the bits are the same. Two rounds, so that what
// silos and server keep comes in.
TEST(Coordinator, SecureSumsGiveTheBitsOfOneJob) {
  for (const SecureCase& one : secure_cases()) {
    SecureSites sites(2);
    sites.recipe.federated->rounds = 2;
    sites.recipe.federated->local_steps = 2;
    one.set(*sites.recipe.federated);
    sites.start();
    EXPECT_TRUE(sites.is_that_of_one_job(sites.recipe)) << one.name;
    EXPECT_TRUE(sites.refused.empty()) << one.name;
    Sites seen;  // and where each change is seen
    one.set(*seen.recipe.federated);
    seen.start();
    EXPECT_TRUE(seen.is_that_of_one_job(seen.recipe)) << one.name;
  }
}

// An expert's weight is a share of the round's 48 tokens, by which its rounding is divided again.
// Without decay, which moves experts that have no token. In a second round compression could round
// to another side.
TEST(Coordinator, SecureSumsAreTheMeanOfWhatIsSeen) {
  for (const SecureCase& one : secure_cases()) {
    SecureSites sites(2);
    sites.recipe.federated->local_steps = 2;
    sites.recipe.optimizer.weight_decay = 0;
    one.set(*sites.recipe.federated);
    const bool smaller = compression_of(*sites.recipe.federated).type != "none";
    sites.recipe.federated->rounds = smaller ? 1 : 2;
    sites.start();
    EXPECT_LT(sites.away_from_one_job(sites.recipe), 1e-6) << one.name;
  }
}

TEST(Coordinator, RefusesCountsThatAreNoWords) {
  SecureSites sites(2);
  sites.recipe.federated->aggregator.experts = "routed_tokens";
  sites.recipe.federated->deadline_s = 5;
  sites.start([](FakeSilos& silos) {
    silos.faults["s2"] = [](const Sent& sent) {
      Sent other = sent;
      for (auto& [layer, words] : other.message.body["notes"]["routed_tokens"].items())
        words = Json::array({0.5});
      return std::vector<Sent>{other};
    };
  });
  ASSERT_EQ(sites.refused["s2"].size(), 1U);
  EXPECT_NE(sites.refused["s2"][0].find("no masked counts of the experts of"), std::string::npos);
  EXPECT_EQ(sites.rows.at(0).find("silo_s2_loss"), nullptr);
}

TEST(Coordinator, FindsTheSumWithoutASiloThatDroppedOut) {
  SecureSites sites(2);
  sites.recipe.federated->deadline_s = 2;
  sites.start([](FakeSilos& silos) {
    silos.faults["s2"] = [](const Sent&) { return std::vector<Sent>(); };
  });
  Recipe two = sites.recipe;
  two.federated->silos.pop_back();
  EXPECT_LT(sites.away_from_one_job(two), 1e-8);
}

// What it says is not passed on, and the others do not wait for it.
TEST(Coordinator, FindsTheSumWithoutASiloWhoseKeysOrSharesAreNone) {
  const Json sealed_for_one = {{"s0", std::string(64, '0')}};
  for (const Json& said : {Json{{"key", std::string(64, '0')}}, Json{{"key", 7}},
                           Json{{"sealed", Json::object()}}, Json{{"sealed", sealed_for_one}},
                           Json{{"sealed", {{"s0", std::string(200000, '0')}, {"s1", ""}}}}}) {
    SecureSites sites(2);
    sites.start([&](FakeSilos& silos) { silos.said_in_sum["s2"] = said; });
    ASSERT_EQ(sites.refused["s2"].size(), 1U) << said.dump().substr(0, 80);
    EXPECT_NE(sites.refused["s2"][0].find("silo s2: "), std::string::npos);
    Recipe two = sites.recipe;
    two.federated->silos.pop_back();
    EXPECT_LT(sites.away_from_one_job(two), 1e-8);
  }
}

TEST(Coordinator, FindsNoSumBelowTheThreshold) {
  SecureSites sites(3);
  sites.recipe.federated->deadline_s = 2;
  EXPECT_THROW(sites.start([](FakeSilos& silos) {
    silos.threshold = 3;
    silos.faults["s2"] = [](const Sent&) { return std::vector<Sent>(); };
  }),
               Error);
}

// After each of its messages in turn; a try that was cut short is begun anew with other keys.
TEST(Coordinator, FindsTheSumThoughItWasKilled) {
  SecureSites sites(2);
  for (int after = 6; after < 40; ++after) {
    try {
      sites.start([&](FakeSilos& silos) { silos.dies_after = after; });
      break;
    } catch (const std::runtime_error& error) {
      ASSERT_STREQ(error.what(), "killed");
    }
  }
  EXPECT_LT(sites.away_from_one_job(sites.recipe), 1e-8);
}

TEST(Coordinator, GivesTheBitsOfOneJobWhereSilosAreHidden) {
  for (const char* where : {"coordinator", "silos"}) {
    Sites sites;
    test::hide_silos(where, sites.recipe);
    sites.start();
    ASSERT_EQ(sites.rows.size(), 2U);
    EXPECT_NE(sites.rows[1].find("epsilon"), nullptr);
    EXPECT_EQ(sites.rows[1].find("silo_s0_loss"), nullptr);
    EXPECT_TRUE(sites.is_that_of_one_job(sites.recipe)) << where;
  }
}

// 2^31 / 3 levels to 0.01 + 10 x 0.0116: the sum is right to 1e-9.
TEST(Coordinator, FindsTheSumOfSilosThatHideThemselves) {
  SecureSites sites(2);
  test::hide_silos("silos", sites.recipe);
  sites.start();
  EXPECT_LT(sites.away_from_one_job(sites.recipe), 1e-9);
  EXPECT_NE(sites.rows.at(0).find("epsilon"), nullptr);
}

/// A silo that sends a thousand times its change.
Sent times_a_thousand(const Sent& sent) {
  std::string bytes = read_file(sent.file);
  std::uint64_t header = 0;
  std::memcpy(&header, bytes.data(), sizeof header);
  for (std::size_t i = sizeof header + header; i + sizeof(double) <= bytes.size();
       i += sizeof(double)) {
    double value = 0;
    std::memcpy(&value, bytes.data() + i, sizeof value);
    value *= 1000;
    std::memcpy(bytes.data() + i, &value, sizeof value);
  }
  write_file_atomic(sent.file, bytes);
  return sent;
}

TEST(Coordinator, OneSiloMovesTheSumByClipNormAtMost) {
  std::vector<std::vector<at::Tensor>> models;
  for (const bool is_hostile : {false, true}) {
    Sites sites;
    sites.recipe.federated->rounds = 1;
    test::hide_silos("coordinator", sites.recipe);
    sites.recipe.federated->privacy->clip_norm = 1e3;  // nothing honest is cut
    sites.recipe.federated->privacy->noise_multiplier = 0;
    sites.recipe.federated->privacy->allow_no_privacy = true;
    sites.start([&](FakeSilos& silos) {
      if (is_hostile)
        silos.faults["s1"] = [](const Sent& sent) {
          return std::vector<Sent>{times_a_thousand(times_a_thousand(times_a_thousand(sent)))};
        };
    });
    models.push_back(sites.model);
  }
  double squares = 0;
  for (std::size_t i = 0; i < models[0].size(); ++i)
    squares += models[1].at(i).sub(models[0][i]).square().sum().item<double>();
  const double moved = 3 * std::sqrt(squares);
  EXPECT_LE(moved, 1e3 * (1 + 1e-9));
  EXPECT_GT(moved, 500);
}

// The noise of a silo that did not answer is missing, and what is left is what is paid for.
TEST(Coordinator, ChargesForTheNoiseThatCame) {
  for (const char* where : {"coordinator", "silos"}) {
    Sites sites;
    sites.recipe.federated->deadline_s = 1;
    sites.recipe.federated->rounds = 1;
    test::hide_silos(where, sites.recipe);
    sites.start([](FakeSilos& silos) {
      silos.faults["s1"] = [](const Sent&) { return std::vector<Sent>(); };
    });
    const auto says = accounting::read_ledger(sites.recipe.federated->privacy->ledger);
    ASSERT_EQ(says.events.size(), 1U);
    const double came = std::string(where) == "silos" ? 2 * std::sqrt(2.0 / 3) : 2;
    EXPECT_DOUBLE_EQ(says.events[0].noise_multiplier, came) << where;
    EXPECT_EQ(says.events[0].sampling_rate, 1);
  }
}

TEST(Coordinator, EndsWithItsBudgetAndSendsTheSilosHome) {
  Sites sites;
  test::hide_silos("coordinator", sites.recipe);
  const double of_one =
      accounting::epsilon_of({{2, 1, 1}}, 1e-6, accounting::Accountant::kPld).value;
  sites.recipe.federated->privacy->budget = PrivacyBudgetOptions{of_one + 1e-3, 1e-6};
  for (int i = 0; i < 2; ++i) {
    try {
      sites.start();
      FAIL() << "it went on";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kBudget);
    }
  }
  EXPECT_EQ(sites.rows.size(), 1U);
  const auto says = accounting::read_ledger(sites.recipe.federated->privacy->ledger);
  EXPECT_EQ(accounting::total_steps(says.events), 1);
}

// After each of its messages in turn: rounds that are saved are paid for once and not done again.
TEST(Coordinator, PaysOnceForRoundsThatAreSavedThoughItWasKilled) {
  Sites sites;
  test::hide_silos("coordinator", sites.recipe);
  sites.recipe.federated->privacy->noise_seed.reset();
  for (int after = 6; after < 40; ++after) {
    try {
      sites.start([&](FakeSilos& silos) { silos.dies_after = after; });
      break;
    } catch (const std::runtime_error& error) {
      ASSERT_STREQ(error.what(), "killed");
    }
  }
  const auto says = accounting::read_ledger(sites.recipe.federated->privacy->ledger);
  EXPECT_EQ(accounting::total_steps(says.events), 2);
}

TEST(Coordinator, RefusesASiloWithOtherWeights) {
  Sites sites;
  sites.recipe.federated->deadline_s = 1;
  sites.recipe.federated->rounds = 1;
  sites.start([](FakeSilos& silos) {
    silos.said_ready["s0"] = {{"weights", std::string(32, 'f')}};
  });
  ASSERT_FALSE(sites.refused["s0"].empty());
  EXPECT_NE(sites.refused["s0"][0].find("base weights differ"), std::string::npos);
  EXPECT_EQ(sites.rows.at(0).find("silo_s0_loss"), nullptr);
}

}  // namespace
}  // namespace moesaic
