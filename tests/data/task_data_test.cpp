#include "data/task_data.h"

#include <gtest/gtest.h>

namespace moesaic {
namespace {

/// The size of a step is its number, after so many thousands.
class CountedData : public StepData {
 public:
  explicit CountedData(std::int64_t thousands) : thousands_(thousands) {}
  StepSize size(std::int64_t step) const override {
    return {.target_tokens = 1000 * thousands_ + step, .micro_batches = 2};
  }
  Batch micro_batch(std::int64_t step, std::int64_t index) const override {
    Batch batch = empty_batch();
    batch.attention_offsets = {thousands_, step, index};
    return batch;
  }

 private:
  std::int64_t thousands_;
};

TaskData three_tasks() {
  std::vector<std::unique_ptr<StepData>> tasks;
  for (std::int64_t t = 1; t <= 3; ++t) tasks.push_back(std::make_unique<CountedData>(t));
  return TaskData(std::move(tasks), TaskSteps({3, 1, 2}));
}

TEST(TaskSteps, FindsTheTaskOfAStepAndItsPlaceThere) {
  const TaskSteps steps({3, 1, 2});
  EXPECT_EQ(steps.tasks(), 3U);
  EXPECT_EQ(steps.total(), 6);
  std::vector<std::size_t> tasks;
  std::vector<std::int64_t> places;
  std::vector<bool> lasts;
  for (std::int64_t step = 0; step < 8; ++step) {
    const TaskSteps::Place place = steps.place(step);
    tasks.push_back(place.task);
    places.push_back(place.step);
    lasts.push_back(place.is_last);
  }
  EXPECT_EQ(tasks, (std::vector<std::size_t>{0, 0, 0, 1, 2, 2, 2, 2}));
  EXPECT_EQ(places, (std::vector<std::int64_t>{0, 1, 2, 0, 0, 1, 2, 3}));
  EXPECT_EQ(lasts, (std::vector<bool>{false, false, true, true, false, true, false, false}));
}

TEST(TaskData, EachTaskBeginsWithItsFirstDraws) {
  const TaskData data = three_tasks();
  std::vector<std::int64_t> sizes;
  for (std::int64_t step = 0; step < 6; ++step) sizes.push_back(data.size(step).target_tokens);
  EXPECT_EQ(sizes, (std::vector<std::int64_t>{1000, 1001, 1002, 2000, 3000, 3001}));
  EXPECT_EQ(data.micro_batch(5, 1).attention_offsets, (std::vector<std::int64_t>{3, 1, 1}));
  EXPECT_EQ(data.task(1).size(7).target_tokens, 2007);
}

TEST(TaskData, NoOrderOfCallsMatters) {
  const TaskData data = three_tasks();
  const std::int64_t late = data.size(5).target_tokens;
  EXPECT_EQ(data.size(0).target_tokens, 1000);
  EXPECT_EQ(data.size(5).target_tokens, late);
}

}  // namespace
}  // namespace moesaic
