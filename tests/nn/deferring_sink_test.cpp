#include "nn/deferring_sink.h"

#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "support/capture_sink.h"

namespace moesaic {
namespace {

/// Writes down the rows of each use: a number that tells them apart.
class Order : public GradientSink {
 public:
  explicit Order(std::vector<std::int64_t>& seen) : seen_(seen) {}
  void expect(const Parameter&) override {}
  void accumulate(const ParameterUse& use) override { seen_.push_back(use.input.size(0)); }

 private:
  std::vector<std::int64_t>& seen_;
};

TEST(DeferringSink, KeepsTheOrderAndALimitedNumber) {
  test::Fixture f;
  const Parameter parameter = f.parameter(at::zeros({2, 2}));
  std::vector<std::int64_t> seen;
  DeferringSink sink(std::make_unique<Order>(seen), Communicator::single());
  const auto use = [&](std::int64_t number, bool may_wait) {
    const at::Tensor rows = at::zeros({number, 2});
    sink.accumulate({ParameterUse::Kind::kLinear, parameter, rows, rows, rows, {}, {}, may_wait});
  };
  for (std::int64_t number = 0; number < 16; ++number) use(number, true);
  EXPECT_TRUE(seen.empty());
  use(100, false);  // its tensors change: it cannot wait
  EXPECT_EQ(seen, std::vector<std::int64_t>({100}));
  for (std::int64_t number = 16; number < 20; ++number) use(number, true);
  EXPECT_EQ(seen, std::vector<std::int64_t>({100, 0, 1, 2, 3}));
  sink.catch_up();
  std::vector<std::int64_t> all = {100};
  for (std::int64_t number = 0; number < 20; ++number) all.push_back(number);
  EXPECT_EQ(seen, all);
  sink.catch_up();
  EXPECT_EQ(seen, all);
}

}  // namespace
}  // namespace moesaic
