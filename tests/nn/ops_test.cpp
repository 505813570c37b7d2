// Every hand-written operation against a plain composition of ATen operations, values and gradients
// in float64.
#include <ATen/ops/allclose.h>
#include <ATen/ops/atan2.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/rsqrt.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "nn/attention.h"
#include "nn/norm.h"
#include "nn/ops.h"
#include "nn/rotary.h"
#include "nn/swiglu.h"
#include "support/capture_sink.h"

namespace moesaic {
namespace {

using test::Fixture;

at::Tensor random(at::IntArrayRef sizes) { return at::randn(sizes, at::kDouble); }
at::Tensor leaf(const at::Tensor& value) { return value.clone().set_requires_grad(true); }

void expect_close(const at::Tensor& got, const at::Tensor& wanted) {
  ASSERT_TRUE(got.defined() && wanted.defined());
  ASSERT_EQ(got.sizes(), wanted.sizes());
  EXPECT_TRUE(at::allclose(got, wanted, 1e-10, 1e-12))
      << "largest difference " << got.sub(wanted).abs().max().item<double>();
}

TEST(Linear, HasTheGradientsOfMatmulPlusBias) {
  Fixture f;
  const auto w = f.parameter(random({4, 6})), b = f.parameter(random({4}));
  const auto x = leaf(random({11, 6})), x2 = leaf(x.detach()), w2 = leaf(w.tensor),
             b2 = leaf(b.tensor);
  const auto dy = random({11, 4});
  const auto y = linear(f.context, w, &b, x), y2 = at::mm(x2, w2.t()).add(b2);
  y.backward(dy), y2.backward(dy);
  expect_close(y, y2);
  expect_close(x.grad(), x2.grad());
  expect_close(f.sink.gradients.at(0), w2.grad());
  expect_close(f.sink.gradients.at(1), b2.grad());
  EXPECT_EQ(f.sink.open_operations.at(0), 0);
}

TEST(GroupedLinear, AppliesEachExpertToItsRowsAndToNoOthers) {
  Fixture f;
  const auto w = f.parameter(random({3, 4, 6}));
  const RowGroups groups{GroupOffsets({0, 5, 5, 11}), f.batch.example_id_T};  // the second expert has no row
  const auto x = leaf(random({11, 6})), x2 = leaf(x.detach()), w2 = leaf(w.tensor);
  const auto dy = random({11, 4});
  const auto y = grouped_linear(f.context, w, x, groups);
  const auto y2 = at::cat({at::mm(x2.narrow(0, 0, 5), w2.select(0, 0).t()),
                           at::mm(x2.narrow(0, 5, 6), w2.select(0, 2).t())});
  y.backward(dy), y2.backward(dy);
  expect_close(y, y2);
  expect_close(x.grad(), x2.grad());
  expect_close(f.sink.gradients.at(0), w2.grad());
}

TEST(GroupedLinear, ConvertsStoredWeightsWhereNoCopyIsKept) {
  Fixture f;
  const auto w = f.parameter(random({3, 4, 6}).to(at::kBFloat16));
  const RowGroups groups{GroupOffsets({0, 5, 5, 11}), f.batch.example_id_T};
  const auto x = random({11, 6});
  Computation none = f.computation;
  none.weights = WeightCopies(/*keep=*/false);
  const auto y = grouped_linear(none.forward(f.batch), w, x, groups);
  expect_close(y, grouped_linear(f.context, w, x, groups));
  EXPECT_EQ(y.scalar_type(), at::kDouble);
}

TEST(RmsNorm, HasTheGradientsOfTheFormula) {
  Fixture f;
  const auto w = f.parameter(random({6}));
  const auto x = leaf(random({11, 6})), x2 = leaf(x.detach()), w2 = leaf(w.tensor);
  const auto dy = random({11, 6});
  const auto y = rms_norm(f.context, w, x, 1e-3, at::kDouble);
  const auto y2 = x2.mul(at::rsqrt(x2.square().mean(-1, true).add(1e-3))).mul(w2);
  y.backward(dy), y2.backward(dy);
  expect_close(y, y2);
  expect_close(x.grad(), x2.grad());
  expect_close(f.sink.gradients.at(0), w2.grad());
}

TEST(Residual, HasTheGradientsOfNormsAndAdditionsInBothPrecisions) {
  for (const auto& [dtype, compute, allowed] :
       {std::tuple{at::kDouble, at::kDouble, 1e-10}, std::tuple{at::kFloat, at::kBFloat16, 3e-2}}) {
    Fixture f;
    f.context.precision = {dtype, compute};
    const auto v = f.parameter(random({6}).to(dtype)), w = f.parameter(random({6}).to(dtype));
    const auto x = leaf(random({11, 6}).to(dtype)), x2 = leaf(x.detach().to(at::kDouble));
    const auto v2 = leaf(v.tensor.to(at::kDouble)), w2 = leaf(w.tensor.to(at::kDouble));
    const auto dy = random({11, 6}).to(dtype);
    const auto norm = [](const at::Tensor& a, const at::Tensor& scale) {
      return a.mul(at::rsqrt(a.square().mean(-1, true).add(1e-3))).mul(scale);
    };
    const auto first = residual_norm(f.context, v, x, 1e-3, compute);
    const auto second =
        add_residual_norm(f.context, w, first.stream_TD, first.normal_TD.mul(2), 1e-3);
    EXPECT_EQ(second.normal_TD.scalar_type(), compute);
    EXPECT_EQ(second.stream_TD.scalar_type(), dtype);
    const auto y = add_residual(second.stream_TD, second.normal_TD);
    const auto h2 = x2.add(norm(x2, v2).mul(2));
    const auto y2 = h2.add(norm(h2, w2));
    y.backward(dy), y2.backward(dy.to(at::kDouble));
    const auto near = [allowed = allowed](const at::Tensor& got, const at::Tensor& wanted) {
      return at::allclose(got.to(at::kDouble), wanted, allowed,
                          allowed * wanted.abs().max().item<double>());
    };
    EXPECT_TRUE(near(y, y2));
    EXPECT_TRUE(near(x.grad(), x2.grad()));
    EXPECT_TRUE(near(f.sink.gradients.at(0), v2.grad()));
    EXPECT_TRUE(near(f.sink.gradients.at(1), w2.grad()));
  }
}

TEST(Embedding, AddsUpTheRowsOfRepeatedIds) {
  Fixture f;
  const auto w = f.parameter(random({11, 6}));
  const auto w2 = leaf(w.tensor);
  const auto dy = random({11, 6});
  const auto y = embedding(f.context, w, f.batch.ids_T), y2 = at::embedding(w2, f.batch.ids_T);
  y.backward(dy), y2.backward(dy);
  expect_close(y, y2);
  expect_close(f.sink.gradients.at(0), w2.grad());
}

TEST(Swiglu, HasTheGradientsOfTheFormula) {
  const auto g = leaf(random({5, 7})), u = leaf(random({5, 7})), w = leaf(random({5}));
  const auto g2 = leaf(g.detach()), u2 = leaf(u.detach()), w2 = leaf(w.detach());
  const auto dy = random({5, 7});
  const auto y = weighted_swiglu(g, u, w).add(swiglu(g, u));
  const auto y2 = at::silu(g2).mul(u2).mul(w2.unsqueeze(1)).add(at::silu(g2).mul(u2));
  y.backward(dy), y2.backward(dy);
  expect_close(y, y2);
  expect_close(g.grad(), g2.grad());
  expect_close(u.grad(), u2.grad());
  expect_close(w.grad(), w2.grad());
}

RotaryTable table_at(const std::vector<std::int64_t>& positions, const arch::Rope& rope,
                     std::int64_t dim) {
  Batch batch;
  batch.positions_T = at::tensor(positions);
  batch.attention_offsets.push_back(std::ssize(positions));
  return RotaryTable::make(batch, rope, 16, dim, at::kDouble);
}

TEST(Rotate, KeepsLengthsAndDependsOnDistanceOnly) {
  const auto q = random({1, 1, 8}), k = random({1, 1, 8});
  for (const bool interleaved : {false, true}) {
    const auto at_position = [&](const at::Tensor& x, std::int64_t p) {
      return rotate(x, table_at({p}, {.interleaved = interleaved}, 8)).flatten();
    };
    const auto near = [](const at::Tensor& a, const at::Tensor& b) {  // angles are float32
      EXPECT_NEAR(a.item<double>(), b.item<double>(), 1e-6);
    };
    near(at_position(q, 17).norm(), q.norm());
    near(at_position(q, 5).dot(at_position(k, 3)), at_position(q, 12).dot(at_position(k, 10)));
    EXPECT_GT(at_position(q, 5).sub(at_position(q, 6)).abs().max().item<double>(), 1e-3);
  }
}

TEST(Rotate, GradientIsTheTransposedMapAlsoInterleaved) {
  for (const bool interleaved : {false, true}) {
    const auto table = table_at({3, 9}, {.interleaved = interleaved}, 6);
    const auto x = leaf(random({2, 3, 6}));
    const auto dy = random({2, 3, 6});
    rotate(x, table).backward(dy);
    // <dy, R x> = <R' dy, x>, and R keeps lengths.
    expect_close(x.grad().mul(x.detach()).sum(), rotate(x.detach(), table).mul(dy).sum());
    EXPECT_NEAR(x.grad().norm().item<double>(), dy.norm().item<double>(), 1e-6);
  }
}

// Values of Transformers 5.17 (ROPE_INIT_FUNCTIONS), theta 10000, head width 8, trained length 16.
TEST(RotaryTable, HasTheAnglesOfTransformersForEachVariant) {
  const auto frequency = [](const arch::Rope& rope, std::int64_t length) {
    std::vector<std::int64_t> positions(static_cast<std::size_t>(length));
    for (std::int64_t p = 0; p < length; ++p) positions[static_cast<std::size_t>(p)] = p;
    const auto table = table_at(positions, rope, 8);
    return at::atan2(table.sin_T1F, table.cos_T1F)[1].flatten();  // of position 1
  };
  const auto expect = [](const at::Tensor& got, const std::vector<double>& wanted) {
    for (std::size_t i = 0; i < wanted.size(); ++i)
      EXPECT_NEAR(got[static_cast<std::int64_t>(i)].item<double>(), wanted[i], 2e-6 * wanted[i]);
  };
  expect(frequency({}, 40), {1.0, 0.1, 0.01, 0.001});
  expect(frequency({.type = "linear", .factor = 4}, 2), {0.25, 0.025, 0.0025, 0.00025});
  expect(frequency({.type = "dynamic", .factor = 2}, 16), {1.0, 0.1, 0.01, 0.001});
  expect(frequency({.type = "dynamic", .factor = 2}, 40), {1.0, 0.062996, 0.0039685, 0.00025});
  EXPECT_DOUBLE_EQ((arch::Rope{.type = "yarn", .factor = 4, .mscale = 1, .mscale_all_dim = 0.5})
                       .softmax_factor(),
                   std::pow(0.05 * std::log(4.0) + 1, 2));
}

// Spans of 40 and of 10 + 20 positions, where 16 were trained; the second has two documents.
TEST(RotaryTable, DynamicFrequenciesAreThoseOfEachSpan) {
  const arch::Rope rope{.type = "dynamic", .factor = 2};
  const auto counting = [](std::int64_t count) {
    std::vector<std::int64_t> positions(static_cast<std::size_t>(count));
    std::iota(positions.begin(), positions.end(), std::int64_t{0});
    return positions;
  };
  std::vector<std::int64_t> positions;
  for (const std::int64_t count : {40, 10, 20}) {
    for (const std::int64_t p : counting(count)) positions.push_back(p);
  }
  Batch batch;
  batch.positions_T = at::tensor(positions);
  batch.attention_offsets = {0, 40, 70};
  batch.document_offsets = {0, 40, 50, 70};
  const auto table = RotaryTable::make(batch, rope, 16, 8, at::kDouble);
  const auto cosine = [&](std::int64_t count) {
    return table_at(counting(count), rope, 8).cos_T1F;
  };
  EXPECT_TRUE(table.cos_T1F.narrow(0, 0, 40).equal(cosine(40)));
  EXPECT_TRUE(table.cos_T1F.narrow(0, 40, 10).equal(cosine(20).narrow(0, 0, 10)));
  EXPECT_TRUE(table.cos_T1F.narrow(0, 50, 20).equal(cosine(20)));
  EXPECT_FALSE(cosine(20).equal(cosine(40).narrow(0, 0, 20)));
}

// Sequences of 3, 3 and 5 tokens, 4 query heads, 2 key/value heads.
TEST(CausalAttention, EqualsLibTorchPerSequenceWithGradients) {
  const std::vector<std::int64_t> offsets = {0, 3, 6, 11};
  const auto q = leaf(random({11, 4, 8})), k = leaf(random({11, 2, 8})),
             v = leaf(random({11, 2, 8}));
  const auto q2 = leaf(q.detach()), k2 = leaf(k.detach()), v2 = leaf(v.detach());
  const auto dy = random({11, 4, 8});
  const auto y = causal_attention(q, k, v, offsets, 1 / std::sqrt(8.0));
  std::vector<at::Tensor> parts;
  for (std::size_t b = 0; b + 1 < offsets.size(); ++b) {
    const auto rows = [&](const at::Tensor& x, std::int64_t repeat) {
      return x.narrow(0, offsets[b], offsets[b + 1] - offsets[b])
          .repeat_interleave(repeat, 1)
          .transpose(0, 1)
          .unsqueeze(0);
    };
    const auto length = offsets[b + 1] - offsets[b];
    const auto scores = at::matmul(rows(q2, 1), rows(k2, 2).transpose(-1, -2)).div(std::sqrt(8.0));
    const auto mask = at::ones({length, length}, at::kBool).tril().logical_not();
    const auto p = at::softmax(scores.masked_fill(mask, -1e30), -1);
    parts.push_back(at::matmul(p, rows(v2, 2)).squeeze(0).transpose(0, 1));
  }
  const auto y2 = at::cat(parts);
  y.backward(dy), y2.backward(dy);
  expect_close(y, y2);
  expect_close(q.grad(), q2.grad());
  expect_close(k.grad(), k2.grad());
  expect_close(v.grad(), v2.grad());
}

TEST(Product, IsTheSameForEveryKernelAndOrientation) {
  const auto a = at::randn({37, 24}, at::kFloat), b = at::randn({19, 24}, at::kFloat);
  const auto wanted = at::mm(a.to(at::kDouble), b.t().to(at::kDouble));
  for (const auto kernel : {MatmulKernel::kMkl, MatmulKernel::kOneDnn}) {
    EXPECT_TRUE(at::allclose(product(a, b, kernel).to(at::kDouble), wanted, 1e-5, 1e-5));
    const auto at_view = a.t().contiguous().t(),
               bt_view = b.t().contiguous().t();  // column-major operands
    EXPECT_TRUE(
        at::allclose(product(at_view, bt_view, kernel).to(at::kDouble), wanted, 1e-5, 1e-5));
    EXPECT_EQ(product(a.narrow(0, 0, 0), b, kernel).sizes(), (at::IntArrayRef{0, 19}));
  }
}

}  // namespace
}  // namespace moesaic
