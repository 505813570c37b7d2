#include "nn/attention.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/softmax.h>

#include <algorithm>
#include <limits>

#include "comm/trace_span.h"
#include "core/error.h"
#include "nn/autograd.h"
#include "nn/cpu/attention.h"
#include "parallel/threads.h"

namespace moesaic {
namespace {

// Plain products, one sequence at a time, for a device: until a kernel has been measured there.

// Rows [begin, begin + length) of x_TGd as [heads, length, d]; each of the G heads repeated to make
// `heads`.
at::Tensor as_heads(const at::Tensor& x_TGd, std::int64_t begin, std::int64_t length,
                    std::int64_t heads) {
  const at::Tensor x = x_TGd.narrow(0, begin, length).transpose(0, 1);
  return x.size(0) == heads ? x : x.repeat_interleave(heads / x.size(0), 0);
}

// The inverse: adds up the copies of a head and writes the rows.
void store_rows(const at::Tensor& x_HLd, std::int64_t begin, const at::Tensor& rows_TGd) {
  const std::int64_t groups = rows_TGd.size(1), length = x_HLd.size(1), d = x_HLd.size(2);
  rows_TGd.narrow(0, begin, length)
      .copy_(x_HLd.view({groups, x_HLd.size(0) / groups, length, d}).sum(1).transpose(0, 1));
}

// softmax(scale q k^T) under the causal mask, [H, L, L].
at::Tensor causal_weights(const at::Tensor& q, const at::Tensor& k, double scale) {
  const at::Tensor scores = at::matmul(q, k.transpose(-1, -2)).mul(scale);
  const at::Tensor hidden = at::ones({q.size(1), q.size(1)}, q.options().dtype(at::kBool)).triu(1);
  return at::softmax(scores.masked_fill(hidden, -std::numeric_limits<double>::infinity()), -1);
}

// Calls visit(begin, q, k, v) for each sequence.
template <class Visit>
void for_each_sequence(const cpu::CausalAttention& op, const at::Tensor& q_THd,
                       const at::Tensor& k_TGd, const at::Tensor& v_TGw, const Visit& visit) {
  const std::int64_t heads = q_THd.size(1);
  for (std::size_t b = 0; b + 1 < op.sequence_offsets.size(); ++b) {
    const std::int64_t begin = op.sequence_offsets[b], length = op.sequence_offsets[b + 1] - begin;
    if (length == 0) continue;
    visit(begin, as_heads(q_THd, begin, length, heads), as_heads(k_TGd, begin, length, heads),
          as_heads(v_TGw, begin, length, heads));
  }
}

void forward_by_products(const cpu::CausalAttention& op, const at::Tensor& q_THd,
                         const at::Tensor& k_TGd, const at::Tensor& v_TGw,
                         const at::Tensor& y_THw) {
  for_each_sequence(
      op, q_THd, k_TGd, v_TGw,
      [&](std::int64_t begin, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
        store_rows(at::matmul(causal_weights(q, k, op.scale), v), begin, y_THw);
      });
}

void backward_by_products(const cpu::CausalAttention& op, const at::Tensor& dy_THw,
                          const at::Tensor& q_THd, const at::Tensor& k_TGd, const at::Tensor& v_TGw,
                          const Tensors& gradients) {
  for_each_sequence(
      op, q_THd, k_TGd, v_TGw,
      [&](std::int64_t begin, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
        const at::Tensor dy = as_heads(dy_THw, begin, q.size(1), q.size(0));
        const at::Tensor p = causal_weights(q, k, op.scale),
                         dp = at::matmul(dy, v.transpose(-1, -2));
        const at::Tensor ds = p.mul(dp.sub(p.mul(dp).sum(-1, true))).mul(op.scale);
        store_rows(at::matmul(ds, k), begin, gradients[0]);
        store_rows(at::matmul(ds.transpose(-1, -2), q), begin, gradients[1]);
        store_rows(at::matmul(p.transpose(-1, -2), dy), begin, gradients[2]);
      });
}

at::Tensor rows_in_memory(const at::Tensor& x) { return x.stride(-1) == 1 ? x : x.contiguous(); }

}  // namespace

at::Tensor causal_attention(const at::Tensor& q_THd, const at::Tensor& k_TGd,
                            const at::Tensor& v_TGw,
                            const std::vector<std::int64_t>& sequence_offsets, double scale) {
  const Span span("attention");
  const cpu::CausalAttention op{sequence_offsets, scale};
  const at::Tensor q = rows_in_memory(q_THd.detach()), k = rows_in_memory(k_TGd.detach()),
                   v = rows_in_memory(v_TGw.detach());
  const at::Tensor y_THw = at::empty({q.size(0), q.size(1), v.size(2)}, q.options());
  at::Tensor lse_TH;
  if (q.is_cpu()) {
    const at::ScalarType sums = q.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
    lse_TH = at::empty({q.size(0), q.size(1)}, q.options().dtype(sums));
    cpu::attention_forward(op, q, k, v, y_THw, lse_TH);
  } else {
    forward_by_products(op, q, k, v, y_THw);
  }
  const at::Tensor y = y_THw.detach();  // the same values, without the node that keeps them
  return record("attention", {q_THd, k_TGd, v_TGw}, y_THw, [=](const Tensors& grad) -> Tensors {
    const auto like = [](const at::Tensor& x) { return at::empty(x.sizes(), x.options()); };
    const Tensors gradients{like(q), like(k), like(v)};
    const at::Tensor dy = rows_in_memory(grad[0]);
    if (q.is_cpu())
      cpu::attention_backward(op, dy, q, k, v, y, lse_TH, gradients[0], gradients[1], gradients[2]);
    else
      backward_by_products(op, dy, q, k, v, gradients);
    return gradients;
  });
}

namespace {

constexpr std::int64_t kMostScores = 16 << 20;  // at a time

// Queries at positions L - T ... of L: q [T, H, d] against k [G, L, d], v [G, L, w] -> [T, H, w].
at::Tensor attend(const at::Tensor& q_THd, const at::Tensor& k_GLd, const at::Tensor& v_GLw,
                  double scale) {
  const std::int64_t tokens = q_THd.size(0), heads = q_THd.size(1), groups = k_GLd.size(0);
  const std::int64_t per_group = heads / groups, length = k_GLd.size(1);
  const at::Tensor q = q_THd.mul(scale)
                           .view({tokens, groups, per_group, q_THd.size(2)})
                           .permute({1, 0, 2, 3})
                           .reshape({groups, tokens * per_group, q_THd.size(2)});
  at::Tensor score = at::bmm(q, k_GLd.transpose(1, 2)).view({groups, tokens, per_group, length});
  if (tokens > 1) {
    const at::Tensor hidden =
        at::ones({tokens, length}, q.options().dtype(at::kBool)).triu(length - tokens + 1);
    score.masked_fill_(hidden.unsqueeze(1), -std::numeric_limits<double>::infinity());
  }
  const at::Tensor p = at::softmax(score, -1).view({groups, tokens * per_group, length});
  return at::bmm(p, v_GLw)
      .view({groups, tokens, per_group, v_GLw.size(2)})
      .permute({1, 0, 2, 3})
      .reshape({tokens, heads, v_GLw.size(2)});
}

// One sequence; y_THw is written.
void attend_to_earlier(const at::Tensor& q_THd, const KvCache::Rows& seen, double scale,
                       const at::Tensor& y_THw) {
  const std::int64_t tokens = q_THd.size(0), length = seen.keys_LGd.size(0);
  const at::Tensor k = seen.keys_LGd.to(q_THd.scalar_type()).transpose(0, 1),
                   v = seen.values_LGw.to(q_THd.scalar_type()).transpose(0, 1);
  const std::int64_t block = std::max<std::int64_t>(1, kMostScores / (q_THd.size(1) * length));
  for (std::int64_t first = 0; first < tokens; first += block) {
    const std::int64_t count = std::min(block, tokens - first);
    const std::int64_t now = length - tokens + first + count;
    y_THw.narrow(0, first, count)
        .copy_(
            attend(q_THd.narrow(0, first, count), k.narrow(1, 0, now), v.narrow(1, 0, now), scale));
  }
}

}  // namespace

at::Tensor attention_to_earlier(const at::Tensor& q_THd, std::span<const KvCache::Rows> seen,
                                const std::vector<std::int64_t>& sequence_offsets, double scale,
                                at::ScalarType sums) {
  const Span span("attention");
  MOESAIC_ASSERT(!seen.empty() && seen.size() + 1 == sequence_offsets.size());
  const at::Tensor q = q_THd.to(sums);
  const at::Tensor y_THw =
      at::empty({q.size(0), q.size(1), seen.front().values_LGw.size(2)}, q_THd.options());
  const auto attend_all = [&](std::int64_t first, std::int64_t last) {
    const at::NoGradGuard no_gradients;
    for (auto b = static_cast<std::size_t>(first); b < static_cast<std::size_t>(last); ++b) {
      const std::int64_t begin = sequence_offsets[b], rows = sequence_offsets[b + 1] - begin;
      attend_to_earlier(q.narrow(0, begin, rows), seen[b], scale, y_THw.narrow(0, begin, rows));
    }
  };
  if (seen.size() == 1 || !q.is_cpu())  // of one sequence the products have the threads
    attend_all(0, std::ssize(seen));
  else
    on_threads(std::ssize(seen), 1, attend_all);
  return y_THw;
}

}  // namespace moesaic
