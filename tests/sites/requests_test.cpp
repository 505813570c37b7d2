#include "sites/requests.h"

#include <gtest/gtest.h>

#include "protocol/messages.h"

namespace moesaic::sites {
namespace {

class RequestsTest : public ::testing::Test {
 protected:
  Answer ask(const std::string& silo, const std::string& text) {
    return requests_.ask(silo, text, {.kind = "change", .round = 1}, "",
                         [this](bool accepted) { settled_.push_back(accepted); });
  }
  std::vector<bool> settled_;
  Requests requests_;
};

TEST_F(RequestsTest, ADuplicateComesOutOnceAndGetsTheSameAnswer) {
  const Answer first = ask("north", "a");
  const Answer again = ask("north", "a");
  auto request = requests_.next(0);
  ASSERT_TRUE(request.has_value());
  EXPECT_EQ(request->silo(), "north");
  EXPECT_FALSE(requests_.next(0).has_value());
  request->answer({.kind = "thanks"});
  EXPECT_EQ(first.get().kind, "thanks");
  EXPECT_EQ(again.get().kind, "thanks");
  EXPECT_EQ(ask("north", "a").get().kind, "thanks");  // a late one, too
  EXPECT_FALSE(requests_.next(0).has_value());
  EXPECT_EQ(settled_, std::vector<bool>{true});
  ask("south", "a");  // another silo's is another message
  EXPECT_TRUE(requests_.next(0).has_value());
}

TEST_F(RequestsTest, WhatWasRefusedMayBeSaidAgain) {
  const Answer first = ask("north", "a");
  requests_.next(0)->refuse(Error(ErrorKind::kBudget, "not now"));
  try {
    first.get();
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kBudget);
  }
  EXPECT_FALSE(requests_.find("north", "a").has_value());
  const Answer again = ask("north", "a");
  requests_.next(0)->answer();
  EXPECT_EQ(again.get().kind, "ok");
  EXPECT_EQ(settled_, (std::vector<bool>{false, true}));
}

TEST_F(RequestsTest, WhatIsLetGoIsDropped) {
  const Answer first = ask("north", "a");
  requests_.next(0).reset();
  EXPECT_THROW(first.get(), Dropped);
  const Answer queued = ask("north", "b");
  requests_.stop();
  EXPECT_THROW(queued.get(), Dropped);
  EXPECT_THROW(ask("north", "c"), Dropped);
  EXPECT_EQ(settled_, (std::vector<bool>{false, false}));
}

TEST_F(RequestsTest, ASiloCannotFillTheQueue) {
  int taken = 0;
  try {
    for (; taken < 1000; ++taken) ask("north", std::to_string(taken));
  } catch (const Error&) {
  }
  EXPECT_LT(taken, 100);
  ask("south", "a");  // the others are heard
}

}  // namespace
}  // namespace moesaic::sites
