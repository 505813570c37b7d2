#include "protocol/line_socket.h"

#include <gtest/gtest.h>

#include <thread>

#include "support/socket_pair.h"
#include "support/temporary_folder.h"

namespace moesaic::sites {
namespace {

using moesaic::testing::expect_error;
using moesaic::testing::socket_pair;

struct Pair {
  explicit Pair(std::pair<int, int> ends = socket_pair())
      : raw(ends.second), here(ends.first, "the peer") {}

  // As a peer would that knows no LineSocket.
  void say(const std::string& text) const {
    EXPECT_EQ(::send(raw, text.data(), text.size(), MSG_NOSIGNAL), std::ssize(text));
  }

  int raw;
  LineSocket here;
};

TEST(LineSocketTest, LinesComeWholeAndInOrder) {
  const auto [one, two] = socket_pair();
  LineSocket left(one, "right"), right(two, "left");
  EXPECT_FALSE(right.read(0).has_value());
  left.write("first");
  left.write("");
  left.write("third");
  EXPECT_EQ(right.read(1), "first");
  EXPECT_EQ(right.read(1), "");
  EXPECT_EQ(right.read(0), "third");
  EXPECT_FALSE(right.read(0.01).has_value());
  right.write("back");
  EXPECT_EQ(left.read(1), "back");
}

TEST(LineSocketTest, ALineInPiecesWaitsForItsEnd) {
  Pair pair;
  pair.say("hal");
  EXPECT_FALSE(pair.here.read(0.01).has_value());
  pair.say("f\nand");
  EXPECT_EQ(pair.here.read(1), "half");
  EXPECT_FALSE(pair.here.read(0).has_value());
  ::close(pair.raw);
}

TEST(LineSocketTest, TheLongestLineGoesThroughAndALongerOneDoesNot) {
  const auto [one, two] = socket_pair();
  LineSocket left(one, "right"), right(two, "left");
  const std::string longest(kLineBytes, 'x');
  std::thread writer([&left, &longest] { left.write(longest); });
  const auto line = right.read(10);
  writer.join();
  EXPECT_EQ(line, longest);
  expect_error(ErrorKind::kData, "at most", [&] { left.write(longest + "x"); });
}

TEST(LineSocketTest, APeerThatSendsNoEndIsRefusedBeforeItTakesMemory) {
  Pair pair;
  std::thread writer([&pair] {
    const std::string piece(1U << 20, 'x');
    for (int i = 0; i < 5; ++i)
      if (::send(pair.raw, piece.data(), piece.size(), MSG_NOSIGNAL) < 0) break;
  });
  expect_error(ErrorKind::kCommunication, "the peer sent a line of more than",
               [&] { pair.here.read(10); });
  pair.here.close();
  writer.join();
  ::close(pair.raw);
}

TEST(LineSocketTest, APeerThatIsGoneIsAnErrorBothWays) {
  Pair pair;
  EXPECT_FALSE(pair.here.is_gone());
  pair.say("last\n");
  ::close(pair.raw);
  EXPECT_TRUE(pair.here.is_gone());
  EXPECT_EQ(pair.here.read(1), "last");
  expect_error(ErrorKind::kCommunication, "the peer is gone", [&] { pair.here.read(1); });
  expect_error(ErrorKind::kCommunication, "the peer is gone", [&] { pair.here.write("x"); });
}

TEST(LineSocketTest, WhatIsNoSocketIsRefused) {
  expect_error(ErrorKind::kUsage, "no socket", [] { LineSocket(-1, "nobody"); });
}

}  // namespace
}  // namespace moesaic::sites
