// A rank that is slow at its own work is named soon; ranks that wait for it are not.
#include "engine/rank_timer.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <thread>

#include "support/capture_sink.h"
#include "support/mpi_test.h"

namespace moesaic {
namespace {

void sleep_ms(int milliseconds) {
  std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
}

/// One step: `own_ms` of work of this rank, then a wait for all.
void run_step(RankTimer& timer, const RankContext& context, std::int64_t number, const Batch& batch,
              int own_ms) {
  WeightCopies weights;
  ForwardContext forward{.batch = batch, .weights = weights, .world = context.world};
  const Step step{.number = number};
  timer.before(step);
  sleep_ms(own_ms);
  timer.before_forward(forward);
  timer.after_forward({});
  context.world.barrier("wait for all");
  timer.before_forward(forward);  // of another round, which is not looked at
  sleep_ms(context.rank() == 0 ? 10 : 0);
  timer.gradient_done(context, step);
  timer.finished(context, step);
}

const std::vector<double>* find(const MetricsRow& row, const std::string& name) {
  for (const auto& [key, values] : row.vectors)
    if (key == name) return &values;
  return nullptr;
}

RankContext timed_context() {
  // Collectives that are compared first wait where they are begun.
  const Communicator world = test::world({.timeout_s = 60, .check_collectives = false});
  return RankContext::make(world, {.world = world.size(), .expert = 1}, Log({.console = false}));
}

TEST(RankTimer, NamesTheSlowRankWithinTwentyStepsAndNotThoseThatWait) {
  const RankContext context = timed_context();
  const int last = context.world.size() - 1;
  if (last == 0) GTEST_SKIP() << "needs two ranks";
  RankTimer timer(1.5, context);
  const Batch batch = test::batch_of({3}, 31);
  std::int64_t named_at = 0;
  for (std::int64_t number = 3; number <= 22 && named_at == 0; ++number) {  // from within a window
    run_step(timer, context, number, batch, context.rank() == last ? 60 : 20);
    MetricsRow row;
    timer.report(row);
    const double* straggler = row.find("straggler_rank");
    if (straggler == nullptr) continue;
    named_at = number;
    EXPECT_EQ(*straggler, last);
    const auto* own = find(row, "rank_compute_s");
    const auto* waits = find(row, "rank_wait_s");
    ASSERT_TRUE(own != nullptr && waits != nullptr);
    ASSERT_EQ(own->size(), static_cast<std::size_t>(context.world.size()));
    EXPECT_GE(own->back(), 0.06);
    EXPECT_LT(own->front(), own->back());
    EXPECT_GT(waits->front(), waits->back());
  }
  EXPECT_GE(named_at, 3 + 2 * RankTimer::kWindow);  // not by one slow moment
  EXPECT_LE(named_at, 22);
}

TEST(RankTimer, NamesNobodyWhereAllTakeTheSameOrHaveNothingToDo) {
  const RankContext context = timed_context();
  RankTimer same(1.5, context), idle(1.5, context);
  const Batch batch = test::batch_of({3}, 31), none = empty_batch();
  const bool is_last = context.rank() == context.world.size() - 1;
  for (std::int64_t number = 1; number <= 20; ++number) {
    run_step(same, context, number, batch, 30);
    run_step(idle, context, number, is_last ? none : batch, is_last ? 60 : 20);
  }
  MetricsRow row;
  same.report(row);
  idle.report(row);
  EXPECT_EQ(row.find("straggler_rank"), nullptr);
  const auto* own = find(row, "rank_compute_s");
  ASSERT_NE(own, nullptr);
  EXPECT_GE(own->back(), 0.03);
}

}  // namespace
}  // namespace moesaic
