#include "observe/trace_json.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace moesaic {
namespace {

using Kind = Tracer::Kind;

Json parsed(const std::string& events, const Json& about = Json::object()) {
  return parse_json(trace_head() + events + trace_tail(about), "trace");
}

TEST(TraceJson, IsValidJsonWithWhateverNames) {
  Tracer tracer;
  const std::vector<std::string> names = {"plain", "quote \" back \\ slash", "line\nbreak\t",
                                          "caf\xc3\xa9", std::string("nul\0in", 6)};
  for (const std::string& name : names) tracer.end(tracer.begin(Kind::kSpan, name));
  tracer.end(tracer.begin(Kind::kSpan, "broken \xff utf-8"));
  tracer.stop();
  const Json trace = parsed(to_trace_events(tracer, {.rank = 0, .host = "n\"1"}));
  std::vector<std::string> read;
  for (const Json& event : trace.at("traceEvents")) {
    if (event.at("ph") == "X") read.push_back(event.at("name").get<std::string>());
  }
  ASSERT_EQ(read.size(), names.size() + 1);
  for (std::size_t i = 0; i < names.size(); ++i) EXPECT_EQ(read[i], names[i]);
}

TEST(TraceJson, GivesEachRankAProcessWithNames) {
  Tracer tracer;
  tracer.stop();
  const Json trace = parsed(to_trace_events(tracer, {.rank = 3, .host = "node07"}));
  std::string process, thread;
  for (const Json& event : trace.at("traceEvents")) {
    EXPECT_EQ(event.at("ph"), "M");
    EXPECT_EQ(event.at("pid"), 3);
    if (event.at("name") == "process_name") process = event.at("args").at("name");
    if (event.at("name") == "thread_name") thread = event.at("args").at("name");
  }
  EXPECT_EQ(process, "rank 3 on node07");
  EXPECT_EQ(thread, "work");
}

TEST(TraceJson, CountsMicrosecondsFromTheOriginToTheNanosecond) {
  Tracer tracer;
  tracer.end(tracer.begin(Kind::kWait, "wait a"));
  tracer.stop();
  const Tracer::Event& event = tracer.events()[0];
  const std::string text =
      to_trace_events(tracer, {.rank = 0, .host = "h", .origin_ns = event.begin_ns - 1'234'005});
  EXPECT_NE(text.find(R"("cat":"wait","name":"wait a","pid":0,"tid":0,"ts":1234.005,"dur":)"),
            std::string::npos)
      << text;
  const Json span = parsed(text).at("traceEvents").back();
  EXPECT_NEAR(span.at("dur").get<double>() * 1e3,
              static_cast<double>(event.end_ns - event.begin_ns), 0.5);
}

TEST(TraceJson, WritesBothHalvesOfACollectiveWithAnIdOfItsOwn) {
  Tracer tracer;
  const auto first = tracer.begin(Kind::kCollective, "dispatch");
  const auto second = tracer.begin(Kind::kCollective, "dispatch");
  tracer.end(first);
  tracer.end(second);
  tracer.stop();
  std::vector<std::string> ids;
  for (const int rank : {0, 1}) {
    const Json trace = parsed(to_trace_events(tracer, {.rank = rank, .host = "h"}));
    std::vector<std::string> begun, ended;
    for (const Json& event : trace.at("traceEvents")) {
      if (event.at("ph") == "b") begun.push_back(event.at("id"));
      if (event.at("ph") == "e") ended.push_back(event.at("id"));
    }
    EXPECT_EQ(begun, ended);
    ids.insert(ids.end(), begun.begin(), begun.end());
  }
  ASSERT_EQ(ids.size(), 4U);
  std::sort(ids.begin(), ids.end());
  EXPECT_EQ(std::unique(ids.begin(), ids.end()), ids.end());
}

TEST(TraceJson, TellsAboutTheWholeFile) {
  Tracer tracer;
  tracer.stop();
  const std::string events = to_trace_events(tracer, {.rank = 0, .host = "h"}) + ",\n" +
                             to_trace_events(tracer, {.rank = 1, .host = "h"});
  EXPECT_EQ(parsed(events, {{"ranks", 2}}).at("otherData").at("ranks"), 2);
}

}  // namespace
}  // namespace moesaic
