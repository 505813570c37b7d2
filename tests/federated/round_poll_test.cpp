#include "federated/round_poll.h"

#include <gtest/gtest.h>

#include "core/error.h"

namespace moesaic {
namespace {

using Status = SiloPoll::Status;

SiloMembers three_here() {
  SiloMembers members({"a", "b", "c"});
  for (const char* silo : {"a", "b", "c"}) members.come(silo);
  return members;
}

SiloPoll poll_of(std::size_t needed) {
  return SiloPoll({.round = 4, .asked = {"a", "b", "c"}, .needed = needed, .ends_at = 100});
}

TEST(SiloPoll, IsDoneWhenAllWhoAreHereHaveAnswered) {
  SiloMembers members = three_here();
  SiloPoll poll = poll_of(2);
  poll.count("a", "x");
  poll.count("b", "y");
  EXPECT_EQ(poll.status(members, 1), Status::kOpen);  // c is still to answer
  members.look({{"c", 31.0}}, 30);
  EXPECT_EQ(poll.status(members, 1), Status::kDone);
  EXPECT_NE(poll.missing(members).find("c was lost"), std::string::npos);
}

TEST(SiloPoll, ClosesAtItsDeadlineWithEnough) {
  const SiloMembers members = three_here();
  SiloPoll poll = poll_of(2);
  poll.count("a", "x");
  EXPECT_EQ(poll.status(members, 99.9), Status::kOpen);
  EXPECT_EQ(poll.status(members, 100), Status::kFailed);
  poll.count("c", "z");
  EXPECT_EQ(poll.status(members, 99.9), Status::kOpen);
  EXPECT_EQ(poll.status(members, 100), Status::kDone);
  EXPECT_EQ(poll.missing(members), "b has not answered in time");
}

// One that was lost may come back; one that left does not, so nobody waits for it in vain.
TEST(SiloPoll, WaitsForTheLostAndNotForThoseThatLeft) {
  SiloMembers members = three_here();
  SiloPoll poll = poll_of(2);
  poll.count("a", "x");
  members.look({{"b", 60.0}, {"c", 60.0}}, 30);
  EXPECT_EQ(poll.status(members, 1), Status::kOpen);
  members.leave("b", "has left");
  members.part("b");
  members.leave("c", "has left");
  members.part("c");
  EXPECT_EQ(poll.status(members, 1), Status::kFailed);
  members.come("b");
  EXPECT_EQ(poll.status(members, 1), Status::kOpen);
}

TEST(SiloPoll, CountsEachAnswerOnce) {
  SiloPoll poll = poll_of(2);
  EXPECT_TRUE(poll.is_new("a", 4, "x"));
  poll.count("a", "x");
  EXPECT_FALSE(poll.is_new("a", 4, "x"));         // said again
  EXPECT_THROW(poll.is_new("a", 4, "y"), Error);  // another one
  EXPECT_THROW(poll.is_new("b", 3, "x"), Error);  // of a round before
  EXPECT_THROW(poll.is_new("d", 4, "x"), Error);  // not asked
  EXPECT_EQ(poll.answered().size(), 1U);
}

TEST(SiloPoll, GoesOnWithoutAnAnswerThatCannotBeUsed) {
  SiloMembers members = three_here();
  SiloPoll poll = poll_of(2);
  poll.count("a", "x");
  poll.count("b", "y");
  poll.give_up("c", "sent what cannot be used");
  poll.give_up("a", "sent it again");  // it counts already
  EXPECT_EQ(poll.status(members, 1), Status::kDone);
  EXPECT_EQ(poll.answered().size(), 2U);
  poll.ask_again("c");
  EXPECT_EQ(poll.status(members, 1), Status::kOpen);
}

// A rule that stands f hostile silos needs fewer answers once one of them was refused.
TEST(SiloPoll, CanComeToNeedFewerAnswers) {
  const SiloMembers members = three_here();
  SiloPoll poll = poll_of(3);
  poll.count("a", "x");
  poll.count("b", "y");
  poll.give_up("c", "sent what cannot be used");
  EXPECT_EQ(poll.status(members, 1), Status::kFailed);
  poll.need(2);
  EXPECT_EQ(poll.status(members, 1), Status::kDone);
}

TEST(SiloMembers, KnowsWhoIsOfTheFederation) {
  SiloMembers members({"a", "b"});
  EXPECT_THROW(members.require("x"), Error);
  EXPECT_EQ(members.why_away("a"), "has not joined");
  members.come("a");
  EXPECT_EQ(members.look({{"a", 5.0}, {"x", 99.0}}, 30).size(), 0U);
  EXPECT_TRUE(members.look({{"a", 50.0}}, 30).at("a"));
  EXPECT_FALSE(members.is_here("a"));
  EXPECT_FALSE(members.look({{"a", 1.0}}, 30).at("a"));  // heard again
  EXPECT_TRUE(members.is_here("a"));
}

TEST(AnswersNeeded, IsTheShareRoundedUpAndWhatTheRuleNeeds) {
  EXPECT_EQ(answers_needed(0.5, 4, 1), 2U);
  EXPECT_EQ(answers_needed(0.5, 5, 1), 3U);
  EXPECT_EQ(answers_needed(0.6, 5, 1), 3U);
  EXPECT_EQ(answers_needed(0.01, 5, 1), 1U);
  EXPECT_EQ(answers_needed(0.5, 7, 5), 5U);
  EXPECT_EQ(answers_needed(1.0, 3, 1), 3U);
}

}  // namespace
}  // namespace moesaic
