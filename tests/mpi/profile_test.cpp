// What a profile says about several ranks: clocks, waits, and the file of all of them.
#include <ATen/ops/ones.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "comm/clock_offset.h"
#include "comm/trace_span.h"
#include "core/fs.h"
#include "core/json.h"
#include "engine/span_recording.h"
#include "engine/trace_file.h"
#include "support/mpi_test.h"
#include "support/shared_folder.h"
#include "support/tiny_model.h"

namespace moesaic {
namespace {

using Kind = Tracer::Kind;

using test::SharedFolder;

std::map<std::string, int> counts(const Tracer& tracer, Kind kind) {
  std::map<std::string, int> counts;
  for (const auto& event : tracer.events()) {
    if (event.kind == kind) ++counts[tracer.names()[event.name]];
  }
  return counts;
}

TEST(ClockOffset, IsNothingBetweenRanksOfOneMachine) {
  const ClockOffset offset = clock_offset(test::world());
  EXPECT_EQ(offset.ns, 0);
}

TEST(ClockOffset, FindsHowFarTheClocksAreApart) {
  const Communicator world = test::world();
  const std::int64_t shift = world.rank() * 3'600'000'000'000LL;  // an hour of boot time each
  const ClockOffset offset = clock_offset(world, [shift] { return monotonic_ns() + shift; });
  EXPECT_LE(std::abs(offset.ns - shift), offset.error_ns);
  EXPECT_LT(offset.error_ns, 1'800'000'000'000LL);  // a claim that tells hours apart
}

TEST(Profile, HasTheWaitOfEveryKindOfCollective) {
  const Communicator world = test::world({.check_collectives = false});
  const auto tracer = std::make_shared<Tracer>();
  {
    const SpanRecording recording(tracer);
    const std::vector<std::int64_t> one(static_cast<std::size_t>(world.size()), 1);
    const at::Tensor rows = at::ones({world.size()});
    Work work = world.all_reduce_async(at::ones({3}), ReduceOp::kSum, "async");
    work.wait();
    work.wait();  // the second has nothing to wait for
    world.all_reduce(at::ones({3}), ReduceOp::kSum, "sum");
    world.all_gather(rows, "gather");
    world.reduce_scatter_async(rows, one, at::ones({1}), "scatter").wait();
    world.broadcast(at::ones({3}), 0, "broadcast");
    world.all_to_all(rows, one, one, "all_to_all");
    world.barrier("barrier");
  }
  tracer->stop();
  const auto waits = counts(*tracer, Kind::kWait), collectives = counts(*tracer, Kind::kCollective);
  if (world.size() == 1) {  // nothing to wait for
    EXPECT_EQ(waits, (std::map<std::string, int>{{"wait barrier", 1}}));
    EXPECT_TRUE(collectives.empty());
    return;
  }
  for (const char* label :
       {"async", "sum", "gather", "scatter", "broadcast", "all_to_all", "barrier"}) {
    EXPECT_EQ(waits.count(std::string("wait ") + label), 1U) << label;
    EXPECT_EQ(collectives.count(label), 1U) << label;
  }
  EXPECT_EQ(waits.size(), 7U);
}

TEST(Profile, HasTheExchangesOfExpertsAndTheGradientBucketsOfAModel) {
  for (const int expert : test::expert_sizes()) {
    const RankContext context = test::context(expert);
    const std::int64_t tokens = 6;
    BatchBuilder batch;
    batch.add(std::vector<std::int64_t>(tokens + 1, 1), {.example = context.rank()});
    test::TinyRun run(
        context, test::tiny_olmoe(), batch.build(),
        {tokens * context.world.size(), tokens * context.world.size(), context.world.size()});
    const auto tracer = std::make_shared<Tracer>();
    {
      const SpanRecording recording(tracer);
      run.loss(true);
    }
    tracer->stop();
    const auto waits = counts(*tracer, Kind::kWait);
    const auto has = [&](const char* label) { return waits.count(std::string("wait ") + label); };
    for (const char* label :
         {"dispatch.counts", "dispatch", "combine", "dispatch.backward", "combine.backward"}) {
      EXPECT_EQ(has(label), expert > 1 ? 1U : 0U) << label << ", expert groups of " << expert;
    }
    const auto buckets = std::count_if(waits.begin(), waits.end(), [](const auto& wait) {
      return wait.first.find(" gradients, bucket ") != std::string::npos &&
             !wait.first.ends_with("(check)");  // these worlds compare their collectives
    });
    const bool alone = context.world.size() == 1;
    EXPECT_EQ(buckets, alone ? 0 : context.expert_data.size() == 1 ? 1 : 2);  // dense, expert
    EXPECT_EQ(counts(*tracer, Kind::kBackward).at("grouped_linear"), 2 * 3);
  }
}

TEST(TraceFile, HoldsTheSpansOfAllRanksInTheOrderOfTheRanks) {
  const RankContext context = test::context(1);
  const SharedFolder folder(context.world);
  Tracer tracer;
  const std::int64_t begin = monotonic_ns();
  for (int i = 0; i <= context.rank(); ++i) {
    tracer.end(tracer.begin(Kind::kSpan, format("work of {}", context.rank())));
  }
  tracer.stop();
  const std::string path = folder.path() + "/trace-1.json";
  EXPECT_EQ(write_trace(context, tracer, begin, path, {{"first_step", 1}}), "");
  if (context.is_chief()) {
    const Json trace = read_json(path);
    EXPECT_EQ(trace.at("otherData").at("ranks"), context.world.size());
    EXPECT_EQ(trace.at("otherData").at("first_step"), 1);
    std::map<int, int> spans;
    int last = 0;
    for (const Json& event : trace.at("traceEvents")) {
      const int pid = event.at("pid").get<int>();
      EXPECT_GE(pid, last);
      last = pid;
      if (event.at("ph") != "X") continue;
      EXPECT_EQ(event.at("name"), format("work of {}", pid));
      EXPECT_GE(event.at("ts").get<double>(), 0);
      ++spans[pid];
    }
    for (int rank = 0; rank < context.world.size(); ++rank) EXPECT_EQ(spans[rank], rank + 1);
  }
}

TEST(TraceFile, ThatCannotBeWrittenIsReportedAndHoldsNobodyUp) {
  const RankContext context = test::context(1);
  const SharedFolder folder(context.world);
  Tracer tracer;
  tracer.stop();
  const std::string path = folder.path() + "/missing/trace-1.json";
  const std::string failure = write_trace(context, tracer, monotonic_ns(), path, Json::object());
  EXPECT_EQ(failure.find(path) != std::string::npos, context.is_chief()) << failure;
  context.world.barrier("together again");
}

}  // namespace
}  // namespace moesaic
