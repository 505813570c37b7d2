#include "privacy/private_ledger.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "support/temporary_folder.h"

namespace moesaic {
namespace {

struct OfOneProcess : ::testing::Test {
  moesaic::testing::TemporaryFolder folder;
  Communicator world = Communicator::single();

  /// Full batches at noise 1 cost epsilon 4.4 for one step, and 6.6 for two, at delta 1e-5.
  PrivateLedger::Options options(double epsilon) const {
    return {.path = folder.path() + "/ledger.json",
            .terms = {.data = "d", .unit = "sequence", .budget = accounting::Budget{epsilon, 1e-5}},
            .charge = {.noise_multiplier = 1},
            .delta = 1e-5};
  }
};

TEST_F(OfOneProcess, PaysForEachStepUntilTheBudgetIsSpent) {
  PrivateLedger ledger(options(6.0));
  EXPECT_EQ(ledger.charge(world), nullptr);
  EXPECT_NEAR(ledger.epsilon(world), 4.377178, 0.003);
  const std::exception_ptr refusal = ledger.charge(world);
  ASSERT_NE(refusal, nullptr);
  try {
    std::rethrow_exception(refusal);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kBudget);
    EXPECT_EQ(error.exit_code(), 9);
  }
  EXPECT_EQ(accounting::total_steps(accounting::read_ledger(folder.path() + "/ledger.json").events),
            1);
}

TEST_F(OfOneProcess, RefusesTheFirstStepWhereThatIsTooMuch) {
  PrivateLedger ledger(options(4.0));
  EXPECT_NE(ledger.charge(world), nullptr);
}

TEST_F(OfOneProcess, APriceThatChangesPaysForNoStepBeforeIt) {
  PrivateLedger ledger(options(1000));
  const auto events = [&] {
    return accounting::read_ledger(folder.path() + "/ledger.json").events;
  };
  ledger.set_charge({.noise_multiplier = 2}, 3);
  for (int i = 0; i < 2; ++i) EXPECT_EQ(ledger.charge(world), nullptr);
  EXPECT_EQ(accounting::total_steps(events()), 1);  // for three
  ledger.set_charge({.noise_multiplier = 1, .sampling_rate = 0.5}, 1);
  for (int i = 0; i < 2; ++i) EXPECT_EQ(ledger.charge(world), nullptr);
  ASSERT_EQ(events().size(), 2U);
  EXPECT_EQ(events()[0].steps, 1);
  EXPECT_EQ(events()[1].steps, 2);
  EXPECT_EQ(events()[1].sampling_rate, 0.5);
}

TEST_F(OfOneProcess, GoesOnFromWhatACheckpointKnows) {
  std::string head;
  {
    PrivateLedger ledger(options(100));
    EXPECT_EQ(ledger.charge(world), nullptr);
    head = ledger.head();
    EXPECT_EQ(ledger.charge(world), nullptr);  // after the checkpoint: it stays charged
  }
  PrivateLedger again(options(100));
  again.open(world, head);
  EXPECT_EQ(again.charge(world), nullptr);
  EXPECT_EQ(accounting::total_steps(accounting::read_ledger(folder.path() + "/ledger.json").events),
            3);
  const auto kind_of_opening = [&] {
    try {
      PrivateLedger other(options(100));
      other.open(world, head);
    } catch (const Error& error) {
      return error.exit_code();
    }
    return 0;
  };
  EXPECT_EQ(kind_of_opening(), 0);
  std::filesystem::remove(folder.path() + "/ledger.json");
  EXPECT_EQ(kind_of_opening(), 7);
}

}  // namespace
}  // namespace moesaic
