// Dispatch and combine over all group sizes: nothing is lost, nothing is moved that should not be,
// gradients come home.
#include <ATen/ops/allclose.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/argsort.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/rand.h>
#include <gtest/gtest.h>

#include "moe/dispatcher.h"
#include "support/capture_sink.h"
#include "support/mpi_test.h"

namespace moesaic {
namespace {

constexpr std::int64_t kExperts = 12, kWidth = 4;

// A stand-in for the experts: expert e multiplies its rows by e + 1 and by the gate weight.
at::Tensor scale_by_expert(const Dispatched& tokens, std::int64_t first_expert) {
  at::Tensor factor = at::ones({tokens.rows_RD.size(0), 1}, at::kDouble);
  const std::vector<std::int64_t>& offsets = tokens.groups.offsets.host();
  for (std::size_t e = 0; e + 1 < offsets.size(); ++e) {
    factor.narrow(0, offsets[e], offsets[e + 1] - offsets[e])
        .fill_(static_cast<double>(first_expert) + static_cast<double>(e) + 1);
  }
  return tokens.rows_RD.mul(factor).mul(tokens.weight_R.unsqueeze(1));
}

void set_examples(Batch& batch, const at::Tensor& example_T) {
  batch.example_id_T = example_T;
  batch.place_T = example_T.mul(std::int64_t{1} << kPlaceBits);
}

// `selected_TK` of this rank through the dispatcher of a group of `expert_size`: values, gradients,
// examples.
void check(int expert_size, const at::Tensor& selected_TK) {
  const RankContext ranks = test::context(expert_size);
  const std::int64_t tokens = selected_TK.size(0);
  test::Fixture f;
  f.batch = tokens == 0 ? empty_batch() : test::batch_of({tokens}, 11);
  set_examples(f.batch, at::full({tokens}, 100 + ranks.rank(), at::kLong));
  const auto slot_E = at::arange(kExperts, at::kLong);
  const auto dispatcher =
      expert_size == 1 ? local_dispatcher(kExperts) : all_to_all_dispatcher(slot_E, ranks.expert);
  const auto x = at::rand({tokens, kWidth}, at::kDouble).set_requires_grad(true);
  const auto w = at::rand(selected_TK.sizes(), at::kDouble).set_requires_grad(true);

  Routing routing;
  routing.weight_TC = w;
  routing.sent_TC = selected_TK;
  const Dispatched out = dispatcher->dispatch(f.context, x, routing);
  EXPECT_EQ(out.rows_RD.size(0), out.groups.offsets.host().back());
  EXPECT_EQ(out.groups.offsets.groups(), kExperts / expert_size);
  const auto home =
      out.combine(scale_by_expert(out, ranks.plan.first_expert(ranks.rank(), kExperts)));
  const auto y = home();
  y.sum().backward();

  const auto factor_TK = selected_TK.to(at::kDouble).add(1);
  const auto weight_T1 = w.detach().mul(factor_TK).sum(1, true);
  EXPECT_TRUE(at::allclose(y, x.detach().mul(weight_T1), 1e-12, 1e-12));
  EXPECT_TRUE(at::allclose(x.grad(), weight_T1.expand_as(x), 1e-12, 1e-12));
  EXPECT_TRUE(at::allclose(w.grad(), factor_TK.mul(x.detach().sum(1, true)), 1e-12, 1e-12));
  // Every row carries the example of the rank it came from.
  const auto group_first = 100 + ranks.rank() / expert_size * expert_size;
  EXPECT_TRUE(out.groups.example_R.ge(group_first)
                  .logical_and(out.groups.example_R.lt(group_first + expert_size))
                  .all()
                  .item<bool>());
}

TEST(TokenDispatcher, BringsRandomChoicesHomeWithTheirGradients) {
  for (const int size : test::expert_sizes()) {
    check(size, at::rand({7, kExperts}).argsort(1, false).narrow(1, 0, 3).contiguous());
  }
}

// Every token is an example of its own, and its row says which: a tag that took another way than
// its row is found. With capacity some rows are padding, which is zero.
TEST(TokenDispatcher, GivesEachRowTheExampleOfItsOwnToken) {
  for (const int size : test::expert_sizes()) {
    const RankContext ranks = test::context(size);
    for (const std::int64_t capacity : {0, 9}) {
      constexpr std::int64_t kTokens = 7;
      test::Fixture f;
      f.batch = test::batch_of({kTokens}, 11);
      const std::int64_t first = 1 + 100 * ranks.rank();
      set_examples(f.batch, at::arange(first, first + kTokens, at::kLong));
      const auto x = f.batch.example_id_T.to(at::kDouble).unsqueeze(1).expand({kTokens, kWidth});
      const auto dispatcher =
          size == 1 ? local_dispatcher(kExperts)
                    : all_to_all_dispatcher(at::arange(kExperts, at::kLong), ranks.expert);
      Routing routing;
      routing.sent_TC =
          at::rand({kTokens, kExperts}).argsort(1, false).narrow(1, 0, 3).contiguous();
      routing.weight_TC = at::ones({kTokens, 3}, at::kDouble);
      routing.capacity = capacity;
      const Dispatched out = dispatcher->dispatch(f.context, x.contiguous(), routing);
      const auto told = out.rows_RD.select(1, 0).to(at::kLong);
      const auto real = told.gt(0);
      EXPECT_TRUE(told.masked_select(real).equal(out.groups.example_R.masked_select(real)));
      const double rows = real.sum().to(at::kDouble).item<double>();
      EXPECT_EQ(ranks.expert.all_reduce(rows, ReduceOp::kSum, "rows"), 3.0 * kTokens * size);
    }
  }
}

TEST(TokenDispatcher, AcceptsAllTokensForOneExpertAndRanksWithoutTokens) {
  for (const int size : test::expert_sizes()) {
    const bool idle = test::session().rank() % 2 == 1;
    check(size, at::full({idle ? 0 : 5, 1}, kExperts - 1, at::kLong));
  }
}

TEST(TokenDispatcher, AcceptsARoundInWhichNobodyHasTokens) {
  for (const int size : test::expert_sizes()) check(size, at::full({0, 2}, 0, at::kLong));
}

}  // namespace
}  // namespace moesaic
