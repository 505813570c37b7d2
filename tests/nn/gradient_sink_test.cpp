// The contract of every parameterised operation with the sink: the rows that it hands over tell
// examples apart. With weights 1 and 0 for rows, the parts of the examples are what each gives
// alone, and add up to the whole.
#include "nn/gradient_sink.h"

#include <ATen/ops/allclose.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <functional>

#include "nn/norm.h"
#include "nn/ops.h"
#include "support/capture_sink.h"
#include "support/example_sink.h"

namespace moesaic {
namespace {

using test::ExampleSink;

at::Tensor random(at::IntArrayRef sizes) { return at::randn(sizes, at::kDouble); }

/// Builds an operation's output for documents of 3, 3 and 5 tokens, or one of them alone.
using Operation = std::function<at::Tensor(const ForwardContext& context, std::int64_t first,
                                           std::int64_t tokens)>;

void check(test::Fixture& f, const Operation& operation, const at::Tensor& dy_T) {
  constexpr std::int64_t kExamples = 3;
  ExampleSink examples;
  f.context.sink = &examples;
  operation(f.context, 0, f.batch.tokens()).backward(dy_T);
  f.context.sink = &f.sink;
  operation(f.context, 0, f.batch.tokens()).backward(dy_T);
  for (const auto& [index, whole] : f.sink.gradients) {
    at::Tensor sum = at::zeros_like(whole);
    for (std::int64_t e = 0; e < kExamples; ++e) sum.add_(examples.part(e, index));
    EXPECT_TRUE(at::allclose(sum, whole, 1e-11, 1e-13)) << "parameter " << index;
    EXPECT_GT(whole.abs().max().item<double>(), 0);
  }
  const std::int64_t rows_per_token = dy_T.size(0) / f.batch.tokens();
  for (std::int64_t e = 0; e < kExamples; ++e) {
    const std::int64_t first = f.batch.document_offsets[static_cast<std::size_t>(e)];
    const std::int64_t tokens = f.batch.document_offsets[static_cast<std::size_t>(e) + 1] - first;
    Batch alone = f.batch;
    alone.example_id_T = f.batch.example_id_T.narrow(0, first, tokens);
    test::CaptureSink sink;
    ForwardContext context = f.computation.forward(alone);
    context.sink = &sink;
    operation(context, first, tokens)
        .backward(dy_T.narrow(0, first * rows_per_token, tokens * rows_per_token));
    for (const auto& [index, part] : sink.gradients)
      EXPECT_TRUE(at::allclose(examples.part(e, index), part, 1e-11, 1e-13))
          << "parameter " << index << ", example " << e;
  }
}

TEST(GradientSink, TellsTheExamplesOfALinearMapApart) {
  test::Fixture f;
  const Parameter &w = f.parameter(random({4, 6})), &b = f.parameter(random({4}));
  const auto x = random({11, 6});
  check(
      f,
      [&](const ForwardContext& context, std::int64_t first, std::int64_t tokens) {
        return linear(context, w, &b, x.narrow(0, first, tokens));
      },
      random({11, 4}));
}

TEST(GradientSink, TellsTheExamplesOfAnEmbeddingApart) {
  test::Fixture f;
  const Parameter& w = f.parameter(random({11, 6}));
  check(
      f,
      [&](const ForwardContext& context, std::int64_t first, std::int64_t tokens) {
        return embedding(context, w, f.batch.ids_T.narrow(0, first, tokens));
      },
      random({11, 6}));
}

TEST(GradientSink, TellsTheExamplesOfNormsApartAlsoOfTheHeadsOfAToken) {
  test::Fixture f;
  const Parameter& w = f.parameter(random({6}));
  const auto x = random({22, 6});  // two heads a token
  check(
      f,
      [&](const ForwardContext& context, std::int64_t first, std::int64_t tokens) {
        return rms_norm(context, w, x.narrow(0, 2 * first, 2 * tokens), 1e-3, at::kDouble);
      },
      random({22, 6}));
}

TEST(GradientSink, TellsTheExamplesOfResidualNormsApart) {
  test::Fixture f;
  const Parameter& w = f.parameter(random({6}));
  const auto x = random({11, 6}), branch = random({11, 6});
  check(
      f,
      [&](const ForwardContext& context, std::int64_t first, std::int64_t tokens) {
        const auto y = add_residual_norm(context, w, x.narrow(0, first, tokens),
                                         branch.narrow(0, first, tokens), 1e-3);
        return y.stream_TD.add(y.normal_TD);
      },
      random({11, 6}));
}

// Rows of an expert come from everywhere: the examples are those of the rows.
TEST(GradientSink, TellsTheExamplesOfExpertsApart) {
  test::Fixture f;
  const Parameter& w = f.parameter(random({2, 4, 6}));
  const auto x = random({11, 6}), dy = random({11, 4});
  const auto example = at::tensor({0, 2, 1, 2, 0, 1, 0, 2, 2, 1, 0}, at::kLong);
  const std::vector<std::int64_t> offsets = {0, 7, 11};
  ExampleSink examples;
  f.context.sink = &examples;
  grouped_linear(f.context, w, x, {offsets, example}).backward(dy);
  for (std::int64_t e = 0; e < 3; ++e) {
    const auto own = example.eq(e).to(at::kDouble).unsqueeze(1);
    test::Fixture alone;
    alone.parameter(w.tensor);
    alone.context.sink = &alone.sink;
    grouped_linear(alone.context, alone.parameters[0], x, {offsets, example}).backward(dy.mul(own));
    EXPECT_TRUE(at::allclose(examples.part(e, 0), alone.sink.gradients.at(0), 1e-11, 1e-13));
  }
}

TEST(AccumulatingSink, SumsRoundsAndIsDoneAfterTheLastOne) {
  const ParameterSet set({test::parameter_of("w", random({4, 6}))});
  AccumulatingSink sink(set, RankContext::single(), MatmulKernel::kMkl);
  const auto x = random({5, 6}), dy = random({5, 4});
  const Gradients gradients = sink.gradients();
  for (std::int64_t round = 0; round < 2; ++round) {
    sink.begin({.index = round, .last = round == 1});
    sink.open(set[0]);
    sink.open(set[0]);  // a second operation uses it
    for (int operation = 0; operation < 2; ++operation) {
      sink.add({.kind = ParameterUse::Kind::kLinear,
                .parameter = set[0],
                .input = x,
                .output_gradient = dy});
      sink.close(set[0], {});
    }
    sink.end();
  }
  EXPECT_TRUE(at::allclose(gradients.entries[0].gradient, dy.t().matmul(x).mul(4)));
}

}  // namespace
}  // namespace moesaic
