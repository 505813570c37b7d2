#include "cli/restart_policy.h"

#include <gtest/gtest.h>

#include "core/error.h"

namespace moesaic::cli {
namespace {

constexpr int kLost = static_cast<int>(ErrorKind::kCommunication);

AttemptEnd failed(std::int64_t step, int rank = 1, int exit_code = kLost) {
  return {.exit_code = exit_code, .rank = rank, .step = step};
}

TEST(RestartPolicy, StartsAgainAfterFailuresThatMayPass) {
  for (const auto kind : {ErrorKind::kDevice, ErrorKind::kCommunication, ErrorKind::kCheckpoint,
                          ErrorKind::kInternal}) {
    RestartPolicy policy({.restarts = 1});
    const RestartDecision decision = policy.after(failed(7, 0, static_cast<int>(kind)), 1);
    EXPECT_TRUE(decision.restart) << name_of(kind);
    EXPECT_EQ(decision.number, 1);
    EXPECT_EQ(decision.reason, "");
  }
}

TEST(RestartPolicy, NeverAfterWhatWouldComeAgain) {
  for (const auto kind :
       {ErrorKind::kUsage, ErrorKind::kRecipe, ErrorKind::kData, ErrorKind::kBudget}) {
    RestartPolicy policy({.restarts = 9});
    const RestartDecision decision = policy.after(failed(7, 0, static_cast<int>(kind)), 1);
    EXPECT_FALSE(decision.restart) << name_of(kind);
    EXPECT_NE(decision.reason.find(name_of(kind)), std::string::npos) << decision.reason;
  }
}

TEST(RestartPolicy, NothingFollowsASuccessOrAStop) {
  for (const int code : {0, kExitStopped}) {
    RestartPolicy policy({.restarts = 9});
    const RestartDecision decision = policy.after({.exit_code = code, .step = 7}, 1);
    EXPECT_FALSE(decision.restart);
    EXPECT_EQ(decision.reason, "");
  }
  RestartPolicy policy({.restarts = 9});
  AttemptEnd end = failed(7);
  end.was_asked = true;
  EXPECT_FALSE(policy.after(end, 1).restart);
}

TEST(RestartPolicy, NotBeforeStepOneIsDone) {
  for (const std::int64_t step : {0, 1}) {
    RestartPolicy policy({.restarts = 9});
    const RestartDecision decision = policy.after(failed(step), 1);
    EXPECT_FALSE(decision.restart) << step;
    EXPECT_NE(decision.reason.find("step 1"), std::string::npos);
  }
  // Once it was, an attempt that fails while it starts is a failure like others.
  RestartPolicy policy({.restarts = 9});
  EXPECT_TRUE(policy.after(failed(2), 1).restart);
  EXPECT_TRUE(policy.after(failed(0), 2).restart);
}

TEST(RestartPolicy, RestartsOfAWindowAreCounted) {
  RestartPolicy policy({.restarts = 2, .window_s = 100});
  EXPECT_TRUE(policy.after(failed(3), 0).restart);
  EXPECT_TRUE(policy.after(failed(5), 60).restart);
  // At 90 both are within the window; at 101 the first is not, at 150 the ones of 60 and 101 are.
  RestartPolicy spent = policy;
  const RestartDecision decision = spent.after(failed(6), 90);
  EXPECT_FALSE(decision.restart);
  EXPECT_NE(decision.reason.find("2 restarts"), std::string::npos) << decision.reason;
  EXPECT_EQ(policy.after(failed(7), 101).number, 3);
  EXPECT_FALSE(policy.after(failed(8), 150).restart);
}

TEST(RestartPolicy, NoneAreAllowed) {
  RestartPolicy policy({.restarts = 0});
  EXPECT_FALSE(policy.after(failed(7), 1).restart);
}

TEST(RestartPolicy, SaysThatTheSameFailureCameAgain) {
  RestartPolicy policy({.restarts = 9});
  EXPECT_FALSE(policy.after(failed(7), 1).same_again);
  const RestartDecision again = policy.after(failed(7), 2);
  EXPECT_TRUE(again.restart);
  EXPECT_TRUE(again.same_again);
  EXPECT_FALSE(policy.after(failed(8), 3).same_again) << "another step";
  EXPECT_FALSE(policy.after(failed(8, 0), 4).same_again) << "another rank";
  EXPECT_FALSE(policy.after(failed(8, 0, 8), 5).same_again) << "another kind";
  EXPECT_FALSE(policy.after(failed(7), 6).same_again) << "not in a row";
}

}  // namespace
}  // namespace moesaic::cli
