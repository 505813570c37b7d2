#include "nn/attention.h"

#include <ATen/ops/_scaled_dot_product_flash_attention_for_cpu.h>
#include <ATen/ops/_scaled_dot_product_flash_attention_for_cpu_backward.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/outer.h>
#include <ATen/ops/pow.h>
#include <ATen/ops/softmax.h>

#include <cmath>
#include <limits>

#include "nn/autograd.h"

namespace moesaic {
namespace {

at::Tensor rotated(const at::Tensor& x_THd, const at::Tensor& cos_T1F, const at::Tensor& sin_T1F) {
  const auto halves = x_THd.to(cos_T1F.scalar_type()).chunk(2, -1);
  return at::cat({halves[0].mul(cos_T1F).sub_(halves[1].mul(sin_T1F)),
                  halves[1].mul(cos_T1F).add_(halves[0].mul(sin_T1F))},
                 -1)
      .to(x_THd.scalar_type());
}

// Neighbouring sequences of one length are one call: n sequences of `length` rows from `begin`.
struct Run {
  std::int64_t begin, sequences, length;
};

std::vector<Run> runs_of_equal_length(const std::vector<std::int64_t>& offsets) {
  std::vector<Run> runs;
  for (std::size_t b = 0; b + 1 < offsets.size(); ++b) {
    const std::int64_t length = offsets[b + 1] - offsets[b];
    if (length == 0) continue;
    if (!runs.empty() && runs.back().length == length)
      ++runs.back().sequences;
    else
      runs.push_back({offsets[b], 1, length});
  }
  return runs;
}

// Rows of a run of x_TGd as [sequences, heads, length, d]; each of the G heads repeated to make
// `heads`.
at::Tensor as_heads(const at::Tensor& x_TGd, const Run& run, std::int64_t heads) {
  const std::int64_t groups = x_TGd.size(1), d = x_TGd.size(2);
  const at::Tensor x = x_TGd.narrow(0, run.begin, run.sequences * run.length)
                           .view({run.sequences, run.length, groups, d})
                           .transpose(1, 2);
  return groups == heads ? x : x.repeat_interleave(heads / groups, 1);
}

struct AttentionResult {
  at::Tensor out, lse;  // [n, H, L, d], [n, H, L]
};

// softmax(q k^T / sqrt(d)) under the causal mask, [n, H, L, L].
at::Tensor causal_weights(const at::Tensor& q, const at::Tensor& k) {
  const at::Tensor scores =
      at::matmul(q, k.transpose(-1, -2)).div(std::sqrt(static_cast<double>(q.size(3))));
  const at::Tensor hidden = at::ones({q.size(2), q.size(2)}, q.options().dtype(at::kBool)).triu(1);
  return at::softmax(scores.masked_fill(hidden, -std::numeric_limits<double>::infinity()), -1);
}

Tensors gradients_by_products(const at::Tensor& dy, const at::Tensor& q, const at::Tensor& k,
                              const at::Tensor& v) {
  const at::Tensor p = causal_weights(q, k), dp = at::matmul(dy, v.transpose(-1, -2));
  const at::Tensor ds =
      p.mul(dp.sub(p.mul(dp).sum(-1, true))).div(std::sqrt(static_cast<double>(q.size(3))));
  return {at::matmul(ds, k), at::matmul(ds.transpose(-1, -2), q),
          at::matmul(p.transpose(-1, -2), dy)};
}

// The CPU has a fused kernel; a device computes with plain products until one has been measured
// there.
AttentionResult forward_of_run(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  if (!q.is_cpu()) return {at::matmul(causal_weights(q, k), v), {}};
  auto [out, lse] = at::_scaled_dot_product_flash_attention_for_cpu(q, k, v, 0.0, true);
  return {out, lse};
}

Tensors backward_of_run(const at::Tensor& dy, const at::Tensor& q, const at::Tensor& k,
                        const at::Tensor& v, const AttentionResult& saved) {
  if (!q.is_cpu()) return gradients_by_products(dy, q, k, v);
  auto [dq, dk, dv] = at::_scaled_dot_product_flash_attention_for_cpu_backward(
      dy, q, k, v, saved.out, saved.lse, 0.0, true);
  return {dq, dk, dv};
}

// The inverse: adds up the copies of a head and writes the rows.
void store_rows(const at::Tensor& x_nHLd, const Run& run, at::Tensor rows_TGd) {
  const std::int64_t groups = rows_TGd.size(1), d = rows_TGd.size(2), heads = x_nHLd.size(1);
  const at::Tensor x =
      groups == heads
          ? x_nHLd
          : x_nHLd.reshape({run.sequences, groups, heads / groups, run.length, d}).sum(2);
  rows_TGd.narrow(0, run.begin, run.sequences * run.length)
      .view({run.sequences, run.length, groups, d})
      .copy_(x.transpose(1, 2));
}

}  // namespace

RotaryTable RotaryTable::make(const at::Tensor& positions_T, std::int64_t head_dim, double theta,
                              at::ScalarType dtype) {
  const auto options = at::TensorOptions(at::kDouble).device(positions_T.device());
  const at::Tensor frequency_F = at::pow(theta, at::arange(0, head_dim, 2, options).div(-head_dim));
  const at::Tensor angle_T1F = at::outer(positions_T.to(at::kDouble), frequency_F).unsqueeze(1);
  return {angle_T1F.cos().to(dtype), angle_T1F.sin().to(dtype)};
}

at::Tensor rotate(const at::Tensor& x_THd, const RotaryTable& table) {
  const at::Tensor y = rotated(x_THd.detach(), table.cos_T1F, table.sin_T1F);
  return record("rotate", {x_THd}, y, [table](const Tensors& dy) -> Tensors {
    return {rotated(dy[0], table.cos_T1F, table.sin_T1F.neg())};
  });
}

at::Tensor causal_attention(const at::Tensor& q_THd, const at::Tensor& k_TGd,
                            const at::Tensor& v_TGd,
                            const std::vector<std::int64_t>& sequence_offsets) {
  const auto runs = runs_of_equal_length(sequence_offsets);
  const std::int64_t heads = q_THd.size(1);
  const at::Tensor q = q_THd.detach(), k = k_TGd.detach(), v = v_TGd.detach();
  const at::Tensor y_THd = at::empty_like(q, at::MemoryFormat::Contiguous);
  std::vector<AttentionResult> saved;  // of each run
  for (const Run& run : runs) {
    saved.push_back(
        forward_of_run(as_heads(q, run, heads), as_heads(k, run, heads), as_heads(v, run, heads)));
    store_rows(saved.back().out, run, y_THd);
  }
  return record("attention", {q_THd, k_TGd, v_TGd}, y_THd, [=](const Tensors& dy) -> Tensors {
    const at::Tensor dq = at::empty_like(q, at::MemoryFormat::Contiguous);
    const at::Tensor dk = at::empty_like(k, at::MemoryFormat::Contiguous);
    const at::Tensor dv = at::empty_like(v, at::MemoryFormat::Contiguous);
    for (std::size_t i = 0; i < runs.size(); ++i) {
      const Tensors d =
          backward_of_run(as_heads(dy[0], runs[i], heads), as_heads(q, runs[i], heads),
                          as_heads(k, runs[i], heads), as_heads(v, runs[i], heads), saved[i]);
      store_rows(d[0], runs[i], dq);
      store_rows(d[1], runs[i], dk);
      store_rows(d[2], runs[i], dv);
    }
    return {dq, dk, dv};
  });
}

}  // namespace moesaic
