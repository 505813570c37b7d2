#include "nn/deferring_sink.h"

#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "support/capture_sink.h"

namespace moesaic {
namespace {

/// Writes down the rows of each use, a number that tells them apart, and -1 for a closed operation.
class Order : public GradientSink {
 public:
  explicit Order(std::vector<std::int64_t>& seen) : seen_(seen) {}
  void open(const Parameter&) override {}
  void add(const ParameterUse& use) override { seen_.push_back(use.input.size(0)); }
  void close(const Parameter&, const HandOverAgain&) override { seen_.push_back(-1); }

 private:
  std::vector<std::int64_t>& seen_;
};

using Seen = std::vector<std::int64_t>;

TEST(DeferringSink, KeepsTheOrderAndALimitedNumber) {
  test::Fixture f;
  const Parameter parameter = f.parameter(at::zeros({2, 2}));
  Seen seen;
  DeferringSink sink(std::make_unique<Order>(seen), Communicator::single());
  const auto use = [&](std::int64_t number, bool passing) {
    const at::Tensor rows = at::zeros({number, 2});
    sink.add({.kind = ParameterUse::Kind::kLinear,
              .parameter = parameter,
              .input = rows,
              .output_gradient = rows,
              .passing = passing});
  };
  for (std::int64_t number = 0; number < 16; ++number) use(number, false);
  EXPECT_TRUE(seen.empty());
  use(100, true);  // its tensors are gone after the call: it cannot wait
  EXPECT_EQ(seen, Seen({100}));
  for (std::int64_t number = 16; number < 20; ++number) use(number, false);
  EXPECT_EQ(seen, Seen({100, 0, 1, 2, 3}));
  sink.catch_up();
  Seen all = {100};
  for (std::int64_t number = 0; number < 20; ++number) all.push_back(number);
  EXPECT_EQ(seen, all);
  sink.catch_up();
  EXPECT_EQ(seen, all);
}

TEST(DeferringSink, ClosesAnOperationAfterItsUsesAndNotBefore) {
  test::Fixture f;
  const Parameter one = f.parameter(at::zeros({2, 2})), two = f.parameter(at::zeros({2, 2}));
  Seen seen;
  DeferringSink sink(std::make_unique<Order>(seen), Communicator::single());
  const auto use = [&](const Parameter& parameter, std::int64_t number, ParameterUse::Kind kind) {
    const at::Tensor rows = at::zeros({number, 2});
    sink.add({.kind = kind, .parameter = parameter, .input = rows, .output_gradient = rows});
    sink.close(parameter, {});
  };
  use(one, 7, ParameterUse::Kind::kLinear);
  EXPECT_TRUE(seen.empty());
  use(two, 8, ParameterUse::Kind::kScale);  // nothing of it waits
  EXPECT_EQ(seen, Seen({8, -1}));
  use(two, 9, ParameterUse::Kind::kGrouped);
  sink.end();
  EXPECT_EQ(seen, Seen({8, -1, 7, -1, 9, -1}));
}

}  // namespace
}  // namespace moesaic
