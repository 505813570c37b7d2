// The loops of nn/cpu against plain float64 compositions, in every dtype and at the sizes where
// tiles begin and end.
#include <ATen/ops/allclose.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linspace.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/nll_loss.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/randperm.h>
#include <ATen/ops/rsqrt.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/error.h"
#include "nn/attention.h"
#include "nn/cpu/blocked_product.h"
#include "nn/cpu/rms_norm.h"
#include "nn/cpu/round.h"
#include "nn/cpu/rows.h"
#include "nn/cpu/simd.h"
#include "nn/cpu/swiglu.h"
#include "nn/cpu/token_loss.h"
#include "nn/matmul.h"

namespace moesaic {
namespace {

constexpr at::ScalarType kDtypes[] = {at::kFloat, at::kBFloat16, at::kDouble};

double tolerance(at::ScalarType dtype) {
  return dtype == at::kDouble ? 1e-11 : dtype == at::kFloat ? 3e-5 : 4e-2;
}

// Largest difference, relative to the largest value.
void expect_near(const at::Tensor& got, const at::Tensor& wanted, double allowed,
                 const std::string& what) {
  ASSERT_EQ(got.sizes(), wanted.sizes()) << what;
  const at::Tensor wide = got.detach().to(at::kDouble), right = wanted.detach().to(at::kDouble);
  ASSERT_TRUE(wide.isfinite().all().item<bool>()) << what;
  const double scale = std::max(1e-3, right.abs().max().item<double>());
  EXPECT_LE(wide.sub(right).abs().max().item<double>(), allowed * scale) << what;
}

at::Tensor random(at::IntArrayRef sizes, at::ScalarType dtype) {
  return at::randn(sizes, at::kDouble).to(dtype);
}
at::Tensor leaf(const at::Tensor& x, at::ScalarType dtype) {
  return x.detach().to(dtype).clone().set_requires_grad(true);
}

at::Tensor reference_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                               const std::vector<std::int64_t>& offsets, double scale) {
  const std::int64_t repeat = q.size(1) / k.size(1);
  std::vector<at::Tensor> parts;
  for (std::size_t b = 0; b + 1 < offsets.size(); ++b) {
    const std::int64_t length = offsets[b + 1] - offsets[b];
    const auto rows = [&](const at::Tensor& x, std::int64_t n) {
      return x.narrow(0, offsets[b], length).repeat_interleave(n, 1).transpose(0, 1);
    };
    const auto hidden = at::ones({length, length}, at::kBool).triu(1);
    const auto scores = at::matmul(rows(q, 1), rows(k, repeat).transpose(-1, -2)).mul(scale);
    const auto p =
        at::softmax(scores.masked_fill(hidden, -std::numeric_limits<double>::infinity()), -1);
    parts.push_back(at::matmul(p, rows(v, repeat)).transpose(0, 1));
  }
  return at::cat(parts);
}

struct AttentionCase {
  std::vector<std::int64_t> lengths;
  std::int64_t heads, groups, d, w;
};

TEST(CpuAttention, EqualsPlainProductsAtTheEdgesOfItsTiles) {
  const AttentionCase cases[] = {{{1, 15, 16, 17, 0, 33}, 2, 2, 8, 8},
                                 {{63, 64, 65}, 4, 2, 16, 16},
                                 {{200}, 4, 1, 24, 16},
                                 {{511, 512, 513}, 2, 1, 8, 8},
                                 {{1100}, 1, 1, 64, 32}};
  for (const AttentionCase& c : cases) {
    std::vector<std::int64_t> offsets = {0};
    for (const auto length : c.lengths) offsets.push_back(offsets.back() + length);
    const std::int64_t rows = offsets.back();
    const double scale = 1 / std::sqrt(static_cast<double>(c.d));
    for (const auto dtype : kDtypes) {
      const auto what = std::string(c10::toString(dtype)) + ", " + std::to_string(rows) + " rows";
      const auto q = random({rows, c.heads, c.d}, dtype), k = random({rows, c.groups, c.d}, dtype),
                 v = random({rows, c.groups, c.w}, dtype);
      const auto q1 = leaf(q, dtype), k1 = leaf(k, dtype), v1 = leaf(v, dtype);
      const auto q2 = leaf(q, at::kDouble), k2 = leaf(k, at::kDouble), v2 = leaf(v, at::kDouble);
      const auto dy = random({rows, c.heads, c.w}, dtype);
      const auto y1 = causal_attention(q1, k1, v1, offsets, scale);
      const auto y2 = reference_attention(q2, k2, v2, offsets, scale);
      y1.backward(dy), y2.backward(dy.to(at::kDouble));
      expect_near(y1, y2, tolerance(dtype), "y, " + what);
      expect_near(q1.grad(), q2.grad(), tolerance(dtype), "dq, " + what);
      expect_near(k1.grad(), k2.grad(), tolerance(dtype), "dk, " + what);
      expect_near(v1.grad(), v2.grad(), tolerance(dtype), "dv, " + what);
    }
  }
}

TEST(CpuAttention, TakesHeadsThatLieApartAndLargeScores) {
  const auto wide = at::randn({70, 3, 40}, at::kFloat).mul(30);
  const auto q = wide.narrow(2, 0, 16), k = wide.narrow(2, 8, 16), v = wide.narrow(2, 30, 10);
  const auto y = causal_attention(q, k, v, {0, 70}, 1.0);
  const auto wanted =
      reference_attention(q.to(at::kDouble), k.to(at::kDouble), v.to(at::kDouble), {0, 70}, 1.0);
  expect_near(y, wanted, 1e-3, "scores of thousands");
}

TEST(CpuAttention, PassesOnWhatIsNotANumber) {
  auto q = at::randn({20, 1, 8}, at::kFloat);
  q[7][0][3] = std::numeric_limits<float>::quiet_NaN();
  const auto y = causal_attention(q, at::randn({20, 1, 8}), at::randn({20, 1, 8}), {0, 20}, 1.0);
  EXPECT_TRUE(y[7].isnan().all().item<bool>());
  EXPECT_TRUE(y[6].isfinite().all().item<bool>());
}

TEST(BlockedProduct, EqualsMmForEveryRestOfABlock) {
  for (const auto dtype : {at::kFloat, at::kBFloat16}) {
    if (!cpu::has_blocked_product(dtype)) continue;
    // Sums are float32; a bfloat16 result is rounded once.
    const double of_result = dtype == at::kFloat ? 1e-5 : 4e-3;
    for (const std::int64_t m : {1, 15, 16, 17, 63, 64, 65, 130, 257})
      for (const std::int64_t n : {1, 40, 64, 300})
        for (const std::int64_t k : {2, 24, 514, 2050}) {
          const auto a = at::randn({m, k}).to(dtype), b = at::randn({n, k}).to(dtype);
          const auto wanted = at::mm(a.to(at::kDouble), b.t().to(at::kDouble));
          // Where all results are small by cancellation, those of the additions show.
          const double summands = std::sqrt(static_cast<double>(k));
          const double of_sum = 1e-5 * std::max(1.0, summands / wanted.abs().max().item<double>());
          const double rounding = std::max(of_result, of_sum);
          const auto room = at::empty({m, n + 7}, dtype);  // rows of the result lie apart
          const std::string what = format("{} x {} x {} {}", m, n, k, c10::toString(dtype));
          cpu::product_transposed(a, b, room.narrow(1, 3, n));
          expect_near(room.narrow(1, 3, n), wanted, rounding, "transposed " + what);
          cpu::product_plain(a, b.t().contiguous(), room.narrow(1, 3, n));
          expect_near(room.narrow(1, 3, n), wanted, rounding, "plain " + what);
          const auto before = at::randn({m, n + 7}).to(dtype);
          const auto sums = wanted.add(before.narrow(1, 3, n).to(at::kDouble));
          for (const bool plain : {false, true}) {
            room.copy_(before);
            if (plain)
              cpu::product_plain(a, b.t().contiguous(), room.narrow(1, 3, n), true);
            else
              cpu::product_transposed(a, b, room.narrow(1, 3, n), true);
            expect_near(room.narrow(1, 3, n), sums, 2 * rounding, "added " + what);
            EXPECT_TRUE(at::equal(room.narrow(1, 0, 3), before.narrow(1, 0, 3))) << what;
          }
          cpu::product_plain(a, b.t().contiguous(), room.narrow(1, 3, n));
          if (dtype == at::kBFloat16) {
            const auto same = at::empty({m, n}, dtype);
            cpu::product_plain(a, b.t().to(at::kFloat).contiguous(), same);
            EXPECT_TRUE(at::equal(same, room.narrow(1, 3, n))) << "plain, b wide " << what;
            cpu::product_transposed(a, b, room.narrow(1, 3, n));
            cpu::product_transposed(a, b.to(at::kFloat), same);
            EXPECT_TRUE(at::equal(same, room.narrow(1, 3, n))) << "transposed, b wide " << what;
          }
          const auto sum = at::ones({m, n});
          cpu::add_product_of_rows(a.t().contiguous(), b.t().contiguous(), sum);
          expect_near(sum, wanted.add(1), 2 * of_sum, "sum over rows " + what);
        }
  }
}

TEST(Product, TakesRowsThatOverlap) {
  for (const auto dtype : {at::kFloat, at::kBFloat16}) {
    const auto column = at::randn({8, 1}).to(dtype), b = at::randn({6, 8}).to(dtype);
    const auto wanted = at::mm(column.t().to(at::kDouble), b.t().to(at::kDouble));
    expect_near(product(column.t(), b, MatmulKernel::kOneDnn), wanted, 8e-3, "one row");
    const auto expanded = at::randn({1, 8}).to(dtype).expand({5, 8});
    expect_near(product(expanded, b, MatmulKernel::kOneDnn),
                at::mm(expanded.to(at::kDouble), b.t().to(at::kDouble)), 8e-3, "expanded");
  }
}

TEST(Product, TakesAnyNumberOfColumnsRowsAndStridesInBFloat16) {
  for (const std::int64_t k : {1, 7, 33})
    for (const std::int64_t apart : {0, 1}) {
      const auto a = at::randn({5, k + apart}).to(at::kBFloat16).narrow(1, 0, k);
      const auto b = at::randn({9, k + apart}).to(at::kBFloat16).narrow(1, 0, k);
      const auto wanted = at::mm(a.to(at::kDouble), b.t().to(at::kDouble));
      expect_near(product(a, b, MatmulKernel::kOneDnn), wanted, 4e-3, "b transposed");
      const auto columns = b.t().contiguous();
      expect_near(product(a, columns.t(), MatmulKernel::kOneDnn), wanted, 4e-3, "b plain");
      const auto sum = at::zeros({k, k});
      add_product_of_rows(a, a, MatmulKernel::kOneDnn, sum);
      // LibTorch's product is rounded before it is added.
      const double allowed = cpu::has_blocked_product(at::kBFloat16) ? 1e-5 : 4e-3;
      expect_near(sum, at::mm(a.t().to(at::kDouble), a.to(at::kDouble)), allowed, "sum over rows");
    }
}

// Rows of adapters: few columns one way, few to add up the other way.
TEST(Product, IsAddedToWhatIsThere) {
  for (const auto kernel : {MatmulKernel::kMkl, MatmulKernel::kOneDnn})
    for (const auto dtype : kDtypes)
      for (const std::int64_t rows : {0, 1, 4, 37})
        for (const bool transposed : {false, true}) {
          const auto a = random({rows, 16}, dtype);
          const auto b = transposed ? random({16, 40}, dtype).t() : random({40, 16}, dtype);
          const auto sum = random({rows, 44}, dtype), before = sum.clone();
          add_product(a, b, kernel, sum.narrow(1, 0, 40));
          const auto wanted = before.to(at::kDouble);
          wanted.narrow(1, 0, 40).add_(at::mm(a.to(at::kDouble), b.t().to(at::kDouble)));
          if (rows > 0) expect_near(sum, wanted, tolerance(dtype), format("{} rows", rows));
          const auto same = sum.clone();
          add_product(a, at::zeros_like(b), kernel, sum.narrow(1, 0, 40));
          EXPECT_TRUE(at::equal(sum, same)) << "zeros change a bit";
        }
}

TEST(Exponential, IsThatOfTheMathLibraryToAFewUnits) {
  const auto x = at::linspace(-86, 87, 200001, at::kFloat);
  double worst = 0;
  for (std::int64_t i = 0; i < x.size(0); ++i) {
    const float value = x.const_data_ptr<float>()[i];
    const double right = std::exp(static_cast<double>(value));
    worst = std::max(worst, std::abs(cpu::exponential(value) / right - 1));
  }
  EXPECT_LT(worst, 2.5e-7);
  EXPECT_TRUE(std::isnan(cpu::exponential(std::numeric_limits<float>::quiet_NaN())));
  EXPECT_LT(cpu::exponential(-std::numeric_limits<float>::infinity()), 1.3e-38F);
}

TEST(Narrow, RoundsLikeLibTorch) {
  const float values[] = {0.0F,
                          -0.0F,
                          1.0F,
                          1.00390625F,
                          1.005859375F,
                          -3.3F,
                          3.389e38F,
                          1e-40F,
                          -1e-45F,
                          65504.0F,
                          std::numeric_limits<float>::infinity()};
  for (const float x : values) EXPECT_EQ(cpu::narrow<c10::BFloat16>(x).x, c10::BFloat16(x).x) << x;
  EXPECT_TRUE(std::isnan(
      static_cast<float>(cpu::narrow<c10::BFloat16>(std::bit_cast<float>(0x7FFFFFFFU)))));
}

TEST(RoundRow, IsTheSameByTheInstructionAndByLoops) {
  for (const std::int64_t n : {0, 1, 15, 16, 17, 31, 32, 33, 100, 1000}) {
    auto x = at::randn({n}).mul(at::randn({n}).mul(30).exp2());
    if (n > 20) {
      x[3] = std::numeric_limits<float>::infinity();
      x[5] = std::numeric_limits<float>::quiet_NaN();
      x[7] = std::numeric_limits<float>::max();
      x[9] = 1.00390625F;  // half way
      x[11] = 1.01171875F;
    }
    const auto a = at::full({n + 1}, 7, at::kBFloat16), b = a.clone();
    cpu::round_row(x.const_data_ptr<float>(), n, a.mutable_data_ptr<c10::BFloat16>());
    cpu::round_row_portably(x.const_data_ptr<float>(), n, b.mutable_data_ptr<c10::BFloat16>());
    EXPECT_TRUE(at::allclose(a, b, 0, 0, /*equal_nan=*/true)) << n;
    EXPECT_TRUE(at::allclose(a.narrow(0, 0, n), x.to(at::kBFloat16), 0, 0, true)) << n;
    EXPECT_EQ(a[n].item<float>(), 7) << "written past the end";
  }
}

TEST(CpuRmsNorm, HasTheGradientsOfItsFormulaInEveryPairOfDtypes) {
  const std::pair<at::ScalarType, at::ScalarType> pairs[] = {{at::kFloat, at::kFloat},
                                                             {at::kFloat, at::kBFloat16},
                                                             {at::kBFloat16, at::kFloat},
                                                             {at::kBFloat16, at::kBFloat16},
                                                             {at::kDouble, at::kDouble}};
  for (const auto& [in, out] : pairs) {
    const auto master = in == at::kDouble ? at::kDouble : at::kFloat;
    const auto x = random({9, 37}, in), dy = random({9, 37}, out), scale = random({37}, master);
    const auto x2 = leaf(x, at::kDouble), scale2 = leaf(scale, at::kDouble);
    const auto y2 = x2.mul(at::rsqrt(x2.square().mean(-1, true).add(1e-5))).mul(scale2);
    y2.backward(dy.to(at::kDouble));
    const auto y = at::empty({9, 37}, out), rstd = at::empty({9}, master),
               dx = at::empty({9, 37}, in), dscale = at::ones({37}, master);
    cpu::rms_norm_forward(x, scale, 1e-5, y, rstd);
    cpu::rms_norm_backward(dy, x, rstd, scale, dx);
    cpu::add_scale_gradient(dy, x, rstd, dscale);
    expect_near(y, y2, tolerance(out), "y");
    expect_near(dx, x2.grad(), tolerance(in), "dx");
    expect_near(dscale, scale2.grad().add(1), tolerance(master), "dscale");
  }
}

TEST(CpuSwiGlu, HasTheGradientsOfItsFormulaInEveryDtype) {
  for (const auto dtype : kDtypes) {
    const auto master = dtype == at::kDouble ? at::kDouble : at::kFloat;
    const auto gate = random({7, 35}, dtype).mul(4), up = random({7, 35}, dtype),
               dy = random({7, 35}, dtype), weight = random({7}, master);
    const auto g = leaf(gate, at::kDouble), u = leaf(up, at::kDouble),
               w = leaf(weight, at::kDouble);
    const auto y2 = at::silu(g).mul(u).mul(w.unsqueeze(1));
    y2.backward(dy.to(at::kDouble));
    const auto like = [](const at::Tensor& x) { return at::empty(x.sizes(), x.options()); };
    const auto y = like(gate), dgate = like(gate), dup = like(up), dweight = like(weight);
    cpu::swiglu_forward(gate, up, weight, y);
    cpu::swiglu_backward(dy, gate, up, weight, dgate, dup, dweight);
    expect_near(y, y2, tolerance(dtype), "y");
    expect_near(dgate, g.grad(), tolerance(dtype), "dgate");
    expect_near(dup, u.grad(), tolerance(dtype), "dup");
    expect_near(dweight, w.grad(), tolerance(dtype), "dweight");
  }
}

TEST(SumOfRows, AddsTheCopiesOfEachToken) {
  for (const auto dtype : kDtypes) {
    const auto y = random({5 * 3, 300}, dtype), place = at::randperm(15, at::kLong);
    const auto out = at::empty({5, 300}, dtype);
    cpu::sum_of_rows(y, place, out);
    expect_near(out, y.to(at::kDouble).index_select(0, place).view({5, 3, 300}).sum(1),
                dtype == at::kBFloat16 ? 1e-2 : 1e-6, c10::toString(dtype));
  }
}

TEST(TokenLoss, IsCrossEntropyAndItsGradient) {
  for (const auto dtype : kDtypes) {
    const auto logits = random({6, 1003}, dtype).mul(3);
    const auto targets = at::randint(0, 1003, {6}, at::kLong);
    targets[2] = -1;
    const auto x = leaf(logits, at::kDouble);
    const auto wanted = at::nll_loss(at::log_softmax(x, 1), targets, {}, 0 /* no reduction */, -1);
    wanted.sum().mul(0.25).backward();
    const auto master = dtype == at::kDouble ? at::kDouble : at::kFloat;
    const auto loss = at::empty({6}, master), again = at::empty({6}, master);
    cpu::token_loss(logits, targets, loss);
    const auto gradient = logits.clone();
    cpu::token_loss_and_gradient(gradient, targets, 0.25, again);
    expect_near(loss, wanted, 1e-5, "loss");
    EXPECT_TRUE(loss.equal(again));
    expect_near(gradient, x.grad(), tolerance(dtype), "gradient");
    const auto highest = at::full({6}, -std::numeric_limits<double>::infinity(), master),
               sum = at::zeros({6}, master), chosen = at::zeros({6}, master);
    for (const auto& [first, count] : {std::pair{0, 17}, std::pair{17, 400}, std::pair{417, 586}})
      cpu::add_vocabulary_part(logits.narrow(1, first, count).contiguous(), targets, first,
                               {highest, sum, chosen});
    const auto in_parts = highest.add(sum.log()).sub(chosen).masked_fill(targets.lt(0), 0);
    expect_near(in_parts, wanted, 1e-5, "loss in parts");
  }
}

}  // namespace
}  // namespace moesaic
