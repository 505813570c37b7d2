#include "engine/chief_turn.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "support/mpi_test.h"

namespace moesaic {
namespace {

// The others hear many times that they are to wait, then the result.
TEST(ChiefTurn, SharesWhatTheChiefFinds) {
  StopSignal stop;
  const Communicator world = test::world();
  ChiefTurn turn(world, stop);
  int runs = 0;
  const std::string found = turn.share("work", [&] {
    for (int i = 0; i < 5; ++i) turn.alive();
    ++runs;
    return std::string("found\n\x1f");
  });
  EXPECT_EQ(found, "found\n\x1f");
  EXPECT_EQ(runs, world.is_chief() ? 1 : 0);
  turn.alive();  // outside of the work: no collective
  EXPECT_EQ(turn.share("nothing", [] { return std::string(); }), "");
}

TEST(ChiefTurn, SharesAnError) {
  StopSignal stop;
  const Communicator world = test::world();
  ChiefTurn turn(world, stop);
  try {
    turn.share("work", [&]() -> std::string {
      turn.alive();
      throw Error(ErrorKind::kCommunication, "the coordinator is away", "look at it");
    });
    FAIL() << "it went on";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kCommunication);
    EXPECT_NE(std::string(error.what()).find("the coordinator is away"), std::string::npos);
    EXPECT_EQ(error.hint(), "look at it");
  }
  EXPECT_EQ(turn.share("after it", [] { return std::string("goes on"); }), "goes on");
}

}  // namespace
}  // namespace moesaic
