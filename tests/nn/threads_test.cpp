// The loops of nn/cpu have the same bits on any number of threads.
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/randperm.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "core/format.h"
#include "data/batch_builder.h"
#include "nn/cpu/attention.h"
#include "nn/cpu/blocked_product.h"
#include "nn/cpu/rms_norm.h"
#include "nn/cpu/rotary.h"
#include "nn/cpu/row_product.h"
#include "nn/cpu/rows.h"
#include "nn/cpu/swiglu.h"
#include "nn/cpu/token_loss.h"
#include "nn/token_uniform.h"
#include "support/threads_for.h"

namespace moesaic {
namespace {

using Tensors = std::vector<at::Tensor>;

constexpr at::ScalarType kDtypes[] = {at::kFloat, at::kBFloat16, at::kDouble};

at::Tensor random(at::IntArrayRef sizes, at::ScalarType dtype) {
  return at::randn(sizes, at::kDouble).to(dtype);
}
at::Tensor like(const at::Tensor& x) { return at::empty(x.sizes(), x.options()); }
at::ScalarType master_of(at::ScalarType dtype) {
  return dtype == at::kDouble ? at::kDouble : at::kFloat;
}

TEST(Threads, NormsAreTheSame) {
  for (const auto dtype : kDtypes) {
    const auto master = master_of(dtype);
    const auto x = random({205, 99}, master), branch = random({205, 99}, dtype),
               dy = random({205, 99}, dtype), scale = random({99}, master);
    expect_same_on_any_threads(format("norm {}", c10::toString(dtype)), [&]() -> Tensors {
      const auto y = like(branch), sum = like(x), rstd = at::empty({205}, master), dx = like(x),
                 d_branch = like(branch), d_scale = at::ones({99}, master), added = like(x);
      cpu::add_rms_norm_forward(x, branch, scale, 1e-5, sum, y, rstd);
      cpu::residual_norm_backward(x, dy, sum, rstd, scale, dx, d_branch);
      cpu::add_scale_gradient(dy, sum, rstd, d_scale);
      cpu::add(x, branch, added);
      return {y, sum, rstd, dx, d_branch, d_scale, added};
    });
  }
}

TEST(Threads, ActivationsRotationsAndLossesAreTheSame) {
  for (const auto dtype : kDtypes) {
    const auto master = master_of(dtype);
    const auto gate = random({101, 35}, dtype), up = random({101, 35}, dtype),
               dy = random({101, 35}, dtype), weight = random({101}, master);
    const auto x = random({101, 3, 14}, dtype), cos = random({101, 1, 7}, master),
               sin = random({101, 1, 7}, master);
    const auto target = at::randint(0, 35, {101}, at::kLong);
    expect_same_on_any_threads(c10::toString(dtype), [&]() -> Tensors {
      const auto y = like(gate), dgate = like(gate), dup = like(up), dweight = like(weight);
      cpu::swiglu_forward(gate, up, weight, y);
      cpu::swiglu_backward(dy, gate, up, weight, dgate, dup, dweight);
      const auto turned = like(x), back = like(x);
      cpu::rotate_forward(x, cos, sin, true, turned);
      cpu::rotate_backward(turned, cos, sin, true, back);
      const auto loss = at::empty({101}, master), again = like(loss), logits = gate.clone();
      cpu::token_loss(gate, target, loss);
      cpu::token_loss_and_gradient(logits, target, 0.25, again);
      const auto highest = at::full({101}, -1e30, master), sum = at::zeros({101}, master),
                 chosen = at::zeros({101}, master);
      cpu::add_vocabulary_part(gate, target, 0, {highest, sum, chosen});
      return {y, dgate, dup, dweight, turned, back, loss, logits, again, highest, sum, chosen};
    });
  }
}

TEST(Threads, RowsThatMoveAreTheSame) {
  const auto place = at::randperm(300, at::kLong), index = at::randint(0, 7, {150}, at::kLong);
  for (const auto dtype : kDtypes) {
    const auto y = random({300, 321}, dtype);
    const auto rows = random({150, 321}, master_of(dtype));
    expect_same_on_any_threads(c10::toString(dtype), [&]() -> Tensors {
      const auto out = at::empty({150, 321}, dtype), sum = at::ones({7, 321}, rows.options());
      cpu::sum_of_rows(y, place, out);
      cpu::add_to_rows(rows, index, sum);
      return {out, sum};
    });
  }
}

TEST(AddToRows, AddsInTheOrderOfTheTokens) {
  for (const auto dtype : {at::kFloat, at::kDouble}) {
    const auto rows = at::randn({60, 130}, dtype), sum = at::randn({5, 130}, dtype);
    const auto index = at::randint(0, 5, {60}, at::kLong);
    const auto wanted = sum.clone();
    for (std::int64_t t = 0; t < 60; ++t) wanted[index[t].item<std::int64_t>()].add_(rows[t]);
    cpu::add_to_rows(rows, index, sum);
    EXPECT_TRUE(same_bits(sum, wanted)) << c10::toString(dtype);
  }
}

TEST(Threads, AttentionIsTheSame) {
  const cpu::CausalAttention op{{0, 70, 70, 75, 230}, 0.3};
  for (const auto dtype : kDtypes) {
    const auto q = random({230, 4, 16}, dtype), k = random({230, 2, 16}, dtype),
               v = random({230, 2, 8}, dtype), dy = random({230, 4, 8}, dtype);
    expect_same_on_any_threads(c10::toString(dtype), [&]() -> Tensors {
      const auto y = like(dy), lse = at::empty({230, 4}, master_of(dtype));
      cpu::attention_forward(op, q, k, v, y, lse);
      const auto dq = like(q), dk = like(k), dv = like(v);
      cpu::attention_backward(op, dy, q, k, v, y, lse, dq, dk, dv);
      return {y, lse, dq, dk, dv};
    });
  }
}

// Few rows, of which threads have columns, and many.
TEST(Threads, ProductsAreTheSame) {
  for (const auto dtype : {at::kFloat, at::kBFloat16}) {
    const auto b = random({1100, 130}, dtype), plain = b.t().contiguous();
    for (const std::int64_t rows : {3, 37, 256, 300}) {
      const auto a = random({rows, 130}, dtype);
      expect_same_on_any_threads(format("{} rows", rows), [&]() -> Tensors {
        Tensors all = {at::empty({rows, 1100}, dtype)};
        cpu::row_product(a, b, all[0]);
        if (!cpu::has_blocked_product(dtype)) return all;
        all.insert(all.end(), {like(all[0]), at::ones({rows, 1100}, dtype), at::ones({130, 130})});
        cpu::product_transposed(a, b, all[1]);
        cpu::product_plain(a, plain, all[2], true);
        cpu::add_product_of_rows(a, a, all[3]);
        return all;
      });
    }
  }
}

TEST(Threads, DrawsAreTheSame) {
  BatchBuilder builder;
  builder.add(std::vector<std::int64_t>(99, 1), {});
  const Batch batch = builder.build();
  const RandomKey key(5, RandomStream::kSample);
  expect_same_on_any_threads("draws",
                             [&]() -> Tensors { return {token_uniform(key, batch.place_T, 7)}; });
}

}  // namespace
}  // namespace moesaic
