#include "engine/span_recording.h"

#include <ATen/ops/ones.h>
#include <gtest/gtest.h>

#include <thread>

#include "comm/trace_span.h"
#include "nn/autograd.h"

namespace moesaic {
namespace {

using Kind = Tracer::Kind;

/// Name and kind of each event, with its depth by the times.
std::vector<std::string> outline(Tracer& tracer) {
  tracer.stop();
  std::vector<std::string> lines;
  std::vector<Tracer::Event> open;
  for (const Tracer::Event& event : tracer.events()) {
    while (!open.empty() && open.back().end_ns <= event.begin_ns) open.pop_back();
    const std::int64_t limit = open.empty() ? event.end_ns : open.back().end_ns;
    EXPECT_LE(event.end_ns, limit) << "spans do not nest";
    lines.push_back(std::string(2 * open.size(), ' ') + tracer.names()[event.name]);
    if (event.kind != Kind::kCollective) open.push_back(event);
  }
  return lines;
}

at::Tensor twice(const char* name, const at::Tensor& x) {
  const Span span(name);
  return record(
      name, {x}, x.detach().mul(2), [](const Tensors& dy) -> Tensors { return {dy[0].mul(2)}; },
      Reach::kBeyond);
}

TEST(SpanRecording, RecordsNestedSpansOnlyWhileItLives) {
  const auto tracer = std::make_shared<Tracer>();
  { const Span before("before"); }
  {
    const SpanRecording recording(tracer);
    const Span step("step", 7);
    { const Span wait(span_name::kWait, std::string("dispatch")); }
    const Span data(span_name::kData);
  }
  { const Span after("after"); }
  EXPECT_EQ(outline(*tracer), (std::vector<std::string>{"step 7", "  wait dispatch", "  data"}));
  EXPECT_EQ(tracer->events()[1].kind, Kind::kWait);
  EXPECT_EQ(tracer->events()[2].kind, Kind::kSpan);
}

TEST(SpanRecording, LetsAnAsynchronousSpanOutliveItsScopeAndTheRecording) {
  std::weak_ptr<Tracer> weak;
  AsyncSpan pending;
  {
    const auto tracer = std::make_shared<Tracer>();
    weak = tracer;
    const SpanRecording recording(tracer);
    {
      const Span inner("inner");
      pending = AsyncSpan("collective");
    }
    const Span next("next");
    ASSERT_EQ(tracer->events().size(), 3U);
    EXPECT_EQ(tracer->events()[1].kind, Kind::kCollective);
    EXPECT_EQ(tracer->events()[1].end_ns, Tracer::kOpen);
  }
  const auto tracer = weak.lock();
  ASSERT_NE(tracer, nullptr);
  std::thread([&] { pending.end(); }).join();
  EXPECT_NE(tracer->events()[1].end_ns, Tracer::kOpen);
}

TEST(SpanRecording, KeepsRecordingsApart) {
  const auto first = std::make_shared<Tracer>(), second = std::make_shared<Tracer>();
  {
    const SpanRecording recording(first);
    const Span span("one");
  }
  {
    const SpanRecording recording(second);
    const Span span("two");
  }
  EXPECT_EQ(outline(*first), std::vector<std::string>{"one"});
  EXPECT_EQ(outline(*second), std::vector<std::string>{"two"});
}

TEST(SpanRecording, IsNotSeenByOtherThreads) {
  const auto tracer = std::make_shared<Tracer>();
  {
    const SpanRecording recording(tracer);
    std::thread([] { const Span span("elsewhere"); }).join();
  }
  EXPECT_TRUE(outline(*tracer).empty());
}

TEST(SpanRecording, GroupsTheNodesOfBackwardByTheLayerThatMadeThem) {
  const auto tracer = std::make_shared<Tracer>();
  at::Tensor x = at::ones({2}).set_requires_grad(true);
  {
    const SpanRecording recording(tracer);
    for (int pass = 0; pass < 2; ++pass) {  // as the micro-batches of a step
      at::Tensor y = twice("embedding", x);
      for (int layer = 0; layer < 2; ++layer) {
        const Span span(span_name::kLayer, layer);
        y = twice("linear", twice("rotate", y));
      }
      const at::Tensor loss = twice("head", y).sum();
      const Span span(span_name::kBackward);
      loss.backward();
    }
  }
  const std::vector<std::string> pass = {"embedding",
                                         "layer 0",
                                         "  rotate",
                                         "  linear",
                                         "layer 1",
                                         "  rotate",
                                         "  linear",
                                         "head",
                                         "backward",
                                         "  SumBackward0",
                                         "  head",
                                         "  layer 1",
                                         "    linear",
                                         "    rotate",
                                         "  layer 0",
                                         "    linear",
                                         "    rotate",
                                         "  embedding",
                                         "  torch::autograd::AccumulateGrad"};
  std::vector<std::string> wanted = pass;
  wanted.insert(wanted.end(), pass.begin(), pass.end());
  EXPECT_EQ(outline(*tracer), wanted);
  for (const Tracer::Event& event : tracer->events()) {
    if (tracer->names()[event.name] != "SumBackward0") continue;
    EXPECT_EQ(event.kind, Kind::kBackward);
  }
}

}  // namespace
}  // namespace moesaic
