// Linear maps whose weight is kept as codes, against maps of the numbers that the codes stand for,
// and their gradients against finite differences.
#include <ATen/ops/allclose.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/stack.h>
#include <gtest/gtest.h>

#include "nn/linear.h"
#include "support/capture_sink.h"

namespace moesaic {
namespace {

using arch::Storage;

at::Tensor random(at::IntArrayRef sizes) { return at::randn(sizes, at::kDouble); }
bool close(const at::Tensor& a, const at::Tensor& b) { return at::allclose(a, b, 1e-12, 1e-12); }

at::Tensor numbers_of(const Parameter& weight, at::ScalarType dtype = at::kDouble) {
  if (weight.scope == Scope::kDense) return weight.quantised.matrix(0, dtype);
  std::vector<at::Tensor> matrices;
  for (std::int64_t e = 0; e < weight.quantised.matrices(); ++e)
    matrices.push_back(weight.quantised.matrix(e, dtype));
  return at::stack(matrices);
}

struct Maps : test::Fixture {
  /// A frozen weight of these values, kept as codes.
  const Parameter& quantised(Storage storage, const at::Tensor& values) {
    parameters.push_back(test::quantised_of("w", storage, values));
    parameters.back().index = std::ssize(parameters) - 1;
    return parameters.back();
  }
  const Parameter& frozen(const at::Tensor& values) {
    parameter(values);
    parameters.back().trainable = false;
    return parameters.back();
  }
};

class QuantisedLinear : public testing::TestWithParam<Storage> {};
INSTANTIATE_TEST_SUITE_P(Storages, QuantisedLinear, testing::Values(Storage::kInt8, Storage::kNf4),
                         [](const auto& each) { return arch::name_of(each.param); });

TEST_P(QuantisedLinear, IsTheMapOfItsNumbersWithTheirGradient) {
  Maps f;
  const Parameter& weight = f.quantised(GetParam(), random({9, 70}));
  const Linear map(weight), plain(f.frozen(numbers_of(weight)));
  const auto x = random({11, 70}).set_requires_grad(true), dy = random({11, 9});
  const auto x2 = x.detach().clone().set_requires_grad(true);
  const auto y = map.forward(f.context, x), y2 = plain.forward(f.context, x2);
  y.backward(dy), y2.backward(dy);
  EXPECT_TRUE(close(y, y2));
  EXPECT_TRUE(close(x.grad(), x2.grad()));
  EXPECT_TRUE(f.sink.gradients.empty()) << "nobody learns from a frozen weight";
  EXPECT_TRUE(at::equal(map.matrix(f.context, at::kDouble), numbers_of(weight)));
}

TEST_P(QuantisedLinear, HasTheGradientOfFiniteDifferences) {
  Maps f;
  const Linear map(f.quantised(GetParam(), random({5, 6})));
  const auto x = random({3, 6}).set_requires_grad(true), dy = random({3, 5});
  const auto loss = [&](const at::Tensor& at_x) {
    return map.forward(f.context, at_x).mul(dy).sum().item<double>();
  };
  map.forward(f.context, x).backward(dy);
  constexpr double kStep = 1e-4;
  for (std::int64_t i = 0; i < x.numel(); ++i) {
    const auto up = x.detach().clone(), down = x.detach().clone();
    up.view(-1)[i].add_(kStep), down.view(-1)[i].sub_(kStep);
    EXPECT_NEAR(x.grad().view(-1)[i].item<double>(), (loss(up) - loss(down)) / (2 * kStep), 1e-8);
  }
}

TEST_P(QuantisedLinear, OfExpertsIsTheMapOfTheirNumbers) {
  Maps f;
  const Parameter& weight = f.quantised(GetParam(), random({4, 9, 70}));
  const GroupedLinear map(weight), plain(f.frozen(numbers_of(weight)));
  const RowGroups groups = groups_of(GroupOffsets({0, 5, 5, 7, 11}), f.batch.place_T);
  const auto x = random({11, 70}).set_requires_grad(true), dy = random({11, 9});
  const auto x2 = x.detach().clone().set_requires_grad(true);
  const auto y = map.forward(f.context, x, groups), y2 = plain.forward(f.context, x2, groups);
  y.backward(dy), y2.backward(dy);
  EXPECT_TRUE(close(y, y2));
  EXPECT_TRUE(close(x.grad(), x2.grad()));
  const auto one_each = random({4, 70});
  EXPECT_TRUE(close(map.forward_one_each(f.context, one_each),
                    plain.forward_one_each(f.context, one_each)));
}

TEST_P(QuantisedLinear, TakesThePrecisionOfItsInput) {
  Maps f;
  const Parameter& weight = f.quantised(GetParam(), random({8, 64}));
  const Parameter& experts = f.quantised(GetParam(), random({1, 8, 64}));
  const RowGroups group = groups_of(GroupOffsets({0, 11}), f.batch.place_T);
  for (const auto dtype : {at::kFloat, at::kBFloat16}) {
    const double near = dtype == at::kFloat ? 1e-5 : 3e-2;
    const auto x = random({11, 64}).to(dtype);
    const auto y = Linear(weight).forward(f.context, x);
    const auto z = GroupedLinear(experts).forward(f.context, x, group);
    EXPECT_EQ(y.scalar_type(), dtype);
    const auto right = x.to(at::kDouble).matmul(numbers_of(weight).t());
    const auto right_z = x.to(at::kDouble).matmul(numbers_of(experts)[0].t());
    EXPECT_TRUE(at::allclose(y.to(at::kDouble), right, near, near * 8));
    EXPECT_TRUE(at::allclose(z.to(at::kDouble), right_z, near, near * 8));
  }
}

// A weight in bfloat16 is a tensor like others.
TEST(Bfloat16Linear, IsTheMapOfItsNumbers) {
  Maps f;
  const auto values = random({3, 9, 8}).to(at::kBFloat16);
  const Parameter& kept = f.frozen(values);
  f.parameters.back().storage = Storage::kBfloat16;
  const Parameter& plain = f.frozen(values.to(at::kDouble));
  const RowGroups groups = groups_of(GroupOffsets({0, 5, 5, 11}), f.batch.place_T);
  const auto x = random({11, 8}), one_each = random({3, 8});
  EXPECT_TRUE(close(GroupedLinear(kept).forward(f.context, x, groups),
                    GroupedLinear(plain).forward(f.context, x, groups)));
  EXPECT_TRUE(close(GroupedLinear(kept).forward_one_each(f.context, one_each),
                    GroupedLinear(plain).forward_one_each(f.context, one_each)));
}

}  // namespace
}  // namespace moesaic
