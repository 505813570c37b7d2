#include "nn/attention.h"

#include <ATen/ops/_scaled_dot_product_flash_attention_for_cpu.h>
#include <ATen/ops/_scaled_dot_product_flash_attention_for_cpu_backward.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/softmax.h>

#include <algorithm>
#include <limits>

#include "comm/trace_span.h"
#include "nn/autograd.h"

namespace moesaic {
namespace {

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
                           .reshape({run.sequences, run.length, groups, d})
                           .transpose(1, 2);
  return groups == heads ? x : x.repeat_interleave(heads / groups, 1);
}

struct AttentionResult {
  at::Tensor out, lse;  // [n, H, L, d], [n, H, L]
};

// softmax(scale q k^T) under the causal mask, [n, H, L, L].
at::Tensor causal_weights(const at::Tensor& q, const at::Tensor& k, double scale) {
  const at::Tensor scores = at::matmul(q, k.transpose(-1, -2)).mul(scale);
  const at::Tensor hidden = at::ones({q.size(2), q.size(2)}, q.options().dtype(at::kBool)).triu(1);
  return at::softmax(scores.masked_fill(hidden, -std::numeric_limits<double>::infinity()), -1);
}

Tensors gradients_by_products(const at::Tensor& dy, const at::Tensor& q, const at::Tensor& k,
                              const at::Tensor& v, double scale) {
  const at::Tensor p = causal_weights(q, k, scale), dp = at::matmul(dy, v.transpose(-1, -2));
  const at::Tensor ds = p.mul(dp.sub(p.mul(dp).sum(-1, true))).mul(scale);
  return {at::matmul(ds, k), at::matmul(ds.transpose(-1, -2), q),
          at::matmul(p.transpose(-1, -2), dy)};
}

// The CPU has a fused kernel; a device computes with plain products until one has been measured
// there.
AttentionResult forward_of_run(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                               double scale) {
  if (!q.is_cpu()) return {at::matmul(causal_weights(q, k, scale), v), {}};
  auto [out, lse] =
      at::_scaled_dot_product_flash_attention_for_cpu(q, k, v, 0.0, true, std::nullopt, scale);
  return {out, lse};
}

Tensors backward_of_run(const at::Tensor& dy, const at::Tensor& q, const at::Tensor& k,
                        const at::Tensor& v, const AttentionResult& saved, double scale) {
  if (!q.is_cpu()) return gradients_by_products(dy, q, k, v, scale);
  auto [dq, dk, dv] = at::_scaled_dot_product_flash_attention_for_cpu_backward(
      dy, q, k, v, saved.out, saved.lse, 0.0, true, std::nullopt, scale);
  return {dq, dk, dv};
}

// The kernels want one width for queries, keys and values: zeros change neither scores nor sums.
at::Tensor padded(const at::Tensor& x_THd, std::int64_t width) {
  const std::int64_t missing = width - x_THd.size(2);
  return missing == 0 ? x_THd : at::constant_pad_nd(x_THd, {0, missing}, 0);
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

at::Tensor causal_attention(const at::Tensor& q_THd, const at::Tensor& k_TGd,
                            const at::Tensor& v_TGw,
                            const std::vector<std::int64_t>& sequence_offsets, double scale) {
  const Span span("attention");
  const auto runs = runs_of_equal_length(sequence_offsets);
  const std::int64_t heads = q_THd.size(1), d = q_THd.size(2), w = v_TGw.size(2);
  const std::int64_t width = std::max(d, w);
  const at::Tensor q = padded(q_THd.detach(), width), k = padded(k_TGd.detach(), width),
                   v = padded(v_TGw.detach(), width);
  const at::Tensor y_THw = at::empty({q.size(0), heads, width}, q.options());
  std::vector<AttentionResult> saved;  // of each run
  for (const Run& run : runs) {
    saved.push_back(forward_of_run(as_heads(q, run, heads), as_heads(k, run, heads),
                                   as_heads(v, run, heads), scale));
    store_rows(saved.back().out, run, y_THw);
  }
  const at::Tensor y = width == w ? y_THw : y_THw.narrow(2, 0, w).contiguous();
  return record("attention", {q_THd, k_TGd, v_TGw}, y, [=](const Tensors& grad) -> Tensors {
    const at::Tensor dy = padded(grad[0], width);
    const at::Tensor dq = at::empty_like(q, at::MemoryFormat::Contiguous);
    const at::Tensor dk = at::empty_like(k, at::MemoryFormat::Contiguous);
    const at::Tensor dv = at::empty_like(v, at::MemoryFormat::Contiguous);
    for (std::size_t i = 0; i < runs.size(); ++i) {
      const Tensors parts = backward_of_run(
          as_heads(dy, runs[i], heads), as_heads(q, runs[i], heads), as_heads(k, runs[i], heads),
          as_heads(v, runs[i], heads), saved[i], scale);
      store_rows(parts[0], runs[i], dq);
      store_rows(parts[1], runs[i], dk);
      store_rows(parts[2], runs[i], dv);
    }
    return {dq.narrow(2, 0, d), dk.narrow(2, 0, d), dv.narrow(2, 0, w)};
  });
}

}  // namespace moesaic
