#include "nn/attention.h"

#include <ATen/ops/_scaled_dot_product_flash_attention_for_cpu.h>
#include <ATen/ops/_scaled_dot_product_flash_attention_for_cpu_backward.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/outer.h>
#include <ATen/ops/pow.h>

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
    if (!runs.empty() && runs.back().length == length) ++runs.back().sequences;
    else runs.push_back({offsets[b], 1, length});
  }
  return runs;
}

// Rows of a run of x_TGd as [sequences, heads, length, d]; each of the G heads repeated to make `heads`.
at::Tensor as_heads(const at::Tensor& x_TGd, const Run& run, std::int64_t heads) {
  const std::int64_t groups = x_TGd.size(1), d = x_TGd.size(2);
  const at::Tensor x = x_TGd.narrow(0, run.begin, run.sequences * run.length)
                           .view({run.sequences, run.length, groups, d})
                           .transpose(1, 2);
  return groups == heads ? x : x.repeat_interleave(heads / groups, 1);
}

// The inverse: adds up the copies of a head and writes the rows.
void store_rows(const at::Tensor& x_nHLd, const Run& run, at::Tensor rows_TGd) {
  const std::int64_t groups = rows_TGd.size(1), d = rows_TGd.size(2), heads = x_nHLd.size(1);
  const at::Tensor x = groups == heads
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

at::Tensor causal_attention(const at::Tensor& q_THd, const at::Tensor& k_TGd, const at::Tensor& v_TGd,
                            const std::vector<std::int64_t>& sequence_offsets) {
  const auto runs = runs_of_equal_length(sequence_offsets);
  const std::int64_t heads = q_THd.size(1);
  const at::Tensor q = q_THd.detach(), k = k_TGd.detach(), v = v_TGd.detach();
  const at::Tensor y_THd = at::empty_like(q, at::MemoryFormat::Contiguous);
  std::vector<std::pair<at::Tensor, at::Tensor>> saved;  // output and log-sum-exp of each run
  for (const Run& run : runs) {
    auto [out, lse] = at::_scaled_dot_product_flash_attention_for_cpu(
        as_heads(q, run, heads), as_heads(k, run, heads), as_heads(v, run, heads), 0.0, true);
    store_rows(out, run, y_THd);
    saved.emplace_back(out, lse);
  }
  return record("attention", {q_THd, k_TGd, v_TGd}, y_THd, [=](const Tensors& dy) -> Tensors {
    const at::Tensor dq = at::empty_like(q, at::MemoryFormat::Contiguous);
    const at::Tensor dk = at::empty_like(k, at::MemoryFormat::Contiguous);
    const at::Tensor dv = at::empty_like(v, at::MemoryFormat::Contiguous);
    for (std::size_t i = 0; i < runs.size(); ++i) {
      const auto& [out, lse] = saved[i];
      const auto [dq_i, dk_i, dv_i] = at::_scaled_dot_product_flash_attention_for_cpu_backward(
          as_heads(dy[0], runs[i], heads), as_heads(q, runs[i], heads), as_heads(k, runs[i], heads),
          as_heads(v, runs[i], heads), out, lse, 0.0, true);
      store_rows(dq_i, runs[i], dq);
      store_rows(dk_i, runs[i], dk);
      store_rows(dv_i, runs[i], dv);
    }
    return {dq, dk, dv};
  });
}

}  // namespace moesaic
