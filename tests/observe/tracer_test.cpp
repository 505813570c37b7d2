#include "observe/tracer.h"

#include <gtest/gtest.h>

#include <thread>

namespace moesaic {
namespace {

using Kind = Tracer::Kind;

TEST(Tracer, KeepsSpansInTheOrderOfTheirBeginningsAndNested) {
  Tracer tracer;
  const auto outer = tracer.begin(Kind::kSpan, "outer");
  const auto inner = tracer.begin(Kind::kWait, "inner");
  tracer.end(inner);
  const auto next = tracer.begin(Kind::kSpan, "inner");
  tracer.end(next);
  tracer.end(outer);
  tracer.stop();
  const auto& events = tracer.events();
  ASSERT_EQ(events.size(), 3U);
  EXPECT_EQ(tracer.names(), (std::vector<std::string>{"outer", "inner"}));
  EXPECT_EQ(tracer.names()[events[0].name], "outer");
  EXPECT_EQ(events[1].name, events[2].name);
  EXPECT_LE(events[0].begin_ns, events[1].begin_ns);
  EXPECT_LE(events[1].begin_ns, events[1].end_ns);
  EXPECT_LE(events[1].end_ns, events[2].begin_ns);
  EXPECT_LE(events[2].end_ns, events[0].end_ns);
}

TEST(Tracer, StopEndsWhatIsOpenAndRecordsNoMore) {
  Tracer tracer;
  tracer.begin(Kind::kSpan, "open");
  tracer.stop();
  const std::int64_t end = tracer.events()[0].end_ns;
  EXPECT_GE(end, tracer.events()[0].begin_ns);
  const auto late = tracer.begin(Kind::kSpan, "late");
  tracer.end(late);
  tracer.end(0);
  EXPECT_EQ(tracer.events().size(), 1U);
  EXPECT_EQ(tracer.events()[0].end_ns, end);
  EXPECT_EQ(tracer.dropped(), 0U);
}

TEST(Tracer, IsBoundedAndCountsWhatItDrops) {
  Tracer tracer(3);
  for (int i = 0; i < 5; ++i) tracer.end(tracer.begin(Kind::kSpan, "span " + std::to_string(i)));
  tracer.stop();
  EXPECT_EQ(tracer.events().size(), 3U);
  EXPECT_EQ(tracer.names().size(), 3U);
  EXPECT_EQ(tracer.dropped(), 2U);
}

TEST(Tracer, AddsUpByKindAndByName) {
  Tracer tracer;
  for (const char* name : {"a", "b", "a"}) tracer.end(tracer.begin(Kind::kWait, name));
  tracer.end(tracer.begin(Kind::kSpan, "a"));
  tracer.stop();
  const auto by_name = tracer.seconds_by_name(Kind::kWait);
  ASSERT_EQ(by_name.size(), 2U);
  EXPECT_GE(by_name[0].second, by_name[1].second);
  EXPECT_DOUBLE_EQ(by_name[0].second + by_name[1].second, tracer.seconds(Kind::kWait));
  double a = 0;
  for (const auto& event : tracer.events()) {
    if (tracer.names()[event.name] == "a") {
      a += static_cast<double>(event.end_ns - event.begin_ns) * 1e-9;
    }
  }
  EXPECT_DOUBLE_EQ(tracer.seconds("a"), a);
  EXPECT_EQ(tracer.seconds("c"), 0);
}

TEST(Tracer, TakesTheEndOfASpanFromAnotherThread) {
  Tracer tracer;
  const auto id = tracer.begin(Kind::kCollective, "save");
  std::thread([&] { tracer.end(id); }).join();
  const std::int64_t end = tracer.events()[0].end_ns;
  EXPECT_NE(end, Tracer::kOpen);
  tracer.stop();
  EXPECT_EQ(tracer.events()[0].end_ns, end);
}

}  // namespace
}  // namespace moesaic
