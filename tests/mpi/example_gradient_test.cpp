// The gradient of each example from one backward pass of a batch, over all layouts: the parts of
// the examples are what each gives alone, and add up to the whole. Rows of experts are told apart
// by the tags that travel with them.
#include <ATen/ops/allclose.h>
#include <gtest/gtest.h>

#include "support/example_sink.h"
#include "support/mpi_test.h"
#include "support/tiny_model.h"

namespace moesaic {
namespace {

constexpr std::int64_t kTokens = 5;  // of an example

/// Two examples a rank, numbered over all ranks; or one of them alone, on its rank.
Batch mine(const RankContext& context, std::int64_t only = -1) {
  BatchBuilder batch;
  bool empty = true;
  for (std::int64_t i = 0; i < 2; ++i) {
    const std::int64_t example = 2 * context.rank() + i;
    if (only >= 0 && only != example) continue;
    batch.add(test::some_ids(17 * example, kTokens + 1, 31), {.example = example});
    empty = false;
  }
  return empty ? empty_batch() : batch.build();
}

/// The sum of a rank's part over the ranks that hold the same rows of a parameter.
at::Tensor over_replicas(const RankContext& context, const Parameter& parameter,
                         const at::Tensor& part) {
  const Communicator& group =
      parameter.scope == Scope::kDense ? context.world : context.expert_data;
  group.all_reduce(part, ReduceOp::kSum, "part");
  return part;
}

struct ExampleRun : test::TinyRun {
  ExampleRun(const RankContext& ranks, const Batch& own)
      : TinyRun(ranks, test::tiny_olmoe(), own,
                {2 * kTokens * ranks.world.size(), 2 * kTokens * ranks.world.size(),
                 ranks.world.size(), 2 * ranks.world.size()}) {}

  /// Cross entropy alone, which is a sum over the examples.
  void backward(GradientSink& into) {
    ForwardContext forward = computation.forward(batch);
    forward.sink = &into;
    forward.training = true;
    into.begin({});
    const ModelOutput output = model.forward(forward);
    CrossEntropy().evaluate({forward, output, model.head(), size}).loss.backward();
    into.end();
  }
};

TEST(ExampleGradient, OfEveryParameterIsThatOfTheExampleAloneAndAddsUp) {
  for (const int expert : test::expert_sizes()) {
    const RankContext context = test::context(expert);
    const std::int64_t examples = 2 * context.world.size();
    ExampleRun all(context, mine(context));
    test::ExampleSink parts;
    all.backward(parts);
    all.backward(all.sink);
    std::vector<at::Tensor> sums;
    for (const Parameter& p : all.parameters) sums.push_back(at::zeros_like(p.tensor));
    for (std::int64_t e = 0; e < examples; ++e) {
      ExampleRun alone(context, mine(context, e));
      alone.backward(alone.sink);
      for (const Parameter& p : all.parameters) {
        const at::Tensor part = over_replicas(context, p, parts.part(e, p.index).clone());
        EXPECT_TRUE(at::allclose(part, alone.gradient(p), 1e-9, 1e-13))
            << p.name << ", example " << e << ", expert groups of " << expert;
        sums[static_cast<std::size_t>(p.index)].add_(part);
      }
    }
    for (const Parameter& p : all.parameters) {
      EXPECT_TRUE(
          at::allclose(sums[static_cast<std::size_t>(p.index)], all.gradient(p), 1e-9, 1e-13))
          << p.name << ", expert groups of " << expert;
    }
  }
}

}  // namespace
}  // namespace moesaic
