#include "data/left_out_data.h"

#include <gtest/gtest.h>

namespace moesaic {
namespace {

/// The size of a step is its number.
class NumberedData : public StepData {
 public:
  StepSize size(std::int64_t step) const override { return {.target_tokens = step}; }
  Batch micro_batch(std::int64_t, std::int64_t) const override { return empty_batch(); }
};

std::vector<std::int64_t> first_steps(const LeftOutData& data) {
  std::vector<std::int64_t> steps;
  for (std::int64_t step = 0; step < 6; ++step) steps.push_back(data.size(step).target_tokens);
  return steps;
}

TEST(LeftOutData, MovesUpWhatFollows) {
  LeftOutData data(std::make_unique<NumberedData>());
  EXPECT_EQ(first_steps(data), (std::vector<std::int64_t>{0, 1, 2, 3, 4, 5}));
  data.leave_out(data.source(2));
  data.leave_out(data.source(2));
  data.leave_out(data.source(0));
  EXPECT_EQ(data.left_out(), (std::set<std::int64_t>{0, 2, 3}));
  EXPECT_EQ(first_steps(data), (std::vector<std::int64_t>{1, 4, 5, 6, 7, 8}));
  EXPECT_EQ(data.source(1), 4);
}

}  // namespace
}  // namespace moesaic
