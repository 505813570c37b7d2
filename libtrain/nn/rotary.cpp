#include "nn/rotary.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/clamp.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/pow.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/where.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "comm/trace_span.h"
#include "nn/autograd.h"
#include "nn/cpu/rotary.h"

namespace moesaic {
namespace {

constexpr double kTwoPi = 2 * std::numbers::pi;

at::Tensor even_numbers(std::int64_t dim) {
  return at::arange(0, dim, 2, at::kLong).to(at::kFloat).div(static_cast<double>(dim));
}

at::Tensor plain_frequencies(double theta, std::int64_t dim) {
  return at::pow(theta, even_numbers(dim)).reciprocal();
}

// theta grows with the part of the sequence beyond the trained length (NTK).
double dynamic_theta(const arch::Rope& rope, std::int64_t most, std::int64_t length,
                     std::int64_t dim) {
  if (length <= most) return rope.theta;
  const auto factor = static_cast<float>(rope.factor);
  const float grown = factor * static_cast<float>(length) / static_cast<float>(most) -
                      static_cast<float>(rope.factor - 1);
  const double exponent = static_cast<double>(dim) / static_cast<double>(dim - 2);
  return static_cast<float>(rope.theta) * std::pow(grown, static_cast<float>(exponent));
}

at::Tensor llama3_frequencies(const arch::Rope& rope, const at::Tensor& plain_F) {
  const double trained = rope.original_max_position_embeddings;
  const double longest = trained / rope.low_freq_factor, shortest = trained / rope.high_freq_factor;
  const at::Tensor wave_F = plain_F.reciprocal().mul(kTwoPi);
  const at::Tensor stretched_F = at::where(wave_F.gt(longest), plain_F.div(rope.factor), plain_F);
  const at::Tensor smooth_F = wave_F.reciprocal()
                                  .mul(trained)
                                  .sub(rope.low_freq_factor)
                                  .div(rope.high_freq_factor - rope.low_freq_factor);
  const at::Tensor blended_F =
      smooth_F.neg().add(1).mul(stretched_F).div(rope.factor).add(smooth_F.mul(stretched_F));
  const at::Tensor between = wave_F.ge(shortest).logical_and(wave_F.le(longest));
  return at::where(between, blended_F, stretched_F);
}

// Dimension whose wave turns `turns` times within the trained length (arXiv 2309.00071, eq. 14).
double turning_dimension(const arch::Rope& rope, std::int64_t dim, double turns) {
  return static_cast<double>(dim) *
         std::log(rope.original_max_position_embeddings / (turns * kTwoPi)) /
         (2 * std::log(rope.theta));
}

at::Tensor yarn_frequencies(const arch::Rope& rope, std::int64_t dim) {
  double low = turning_dimension(rope, dim, rope.beta_fast);
  double high = turning_dimension(rope, dim, rope.beta_slow);
  if (rope.truncate) low = std::floor(low), high = std::ceil(high);
  low = std::max(low, 0.0), high = std::min(high, static_cast<double>(dim - 1));
  if (low == high) high += 0.001;
  const at::Tensor ramp_F =
      at::clamp(at::arange(dim / 2, at::kFloat).sub(low).div(high - low), 0, 1);
  const at::Tensor kept_F = ramp_F.neg().add(1);
  const at::Tensor wave_F = at::pow(rope.theta, even_numbers(dim));
  return wave_F.mul(rope.factor)
      .reciprocal()
      .mul(kept_F.neg().add(1))
      .add(wave_F.reciprocal().mul(kept_F));
}

// [dim / 2], float32, for a span of `length` positions.
at::Tensor frequencies(const arch::Rope& rope, std::int64_t most, std::int64_t length,
                       std::int64_t dim) {
  if (rope.type == "yarn") return yarn_frequencies(rope, dim);
  if (rope.type == "dynamic") return plain_frequencies(dynamic_theta(rope, most, length, dim), dim);
  const at::Tensor plain_F = plain_frequencies(rope.theta, dim);
  if (rope.type == "linear") return plain_F.div(rope.factor);
  return rope.type == "llama3" ? llama3_frequencies(rope, plain_F) : plain_F;
}

at::Tensor angles(const Batch& batch, const arch::Rope& rope, std::int64_t most, std::int64_t dim) {
  const at::Tensor position_T1 = batch.positions_T.cpu().to(at::kFloat).unsqueeze(1);
  if (rope.type != "dynamic") return position_T1.mul(frequencies(rope, most, 0, dim));
  std::vector<at::Tensor> parts;
  for (std::size_t b = 0; b + 1 < batch.attention_offsets.size(); ++b) {
    const std::int64_t begin = batch.attention_offsets[b];
    const std::int64_t rows = batch.attention_offsets[b + 1] - begin;
    if (rows == 0) continue;
    const at::Tensor position = position_T1.narrow(0, begin, rows);
    // Also of a span that continues one in a cache, and of documents that share one.
    const auto length = 1 + static_cast<std::int64_t>(position.max().item<float>());
    parts.push_back(position.mul(frequencies(rope, most, length, dim)));
  }
  return parts.empty() ? position_T1.mul(frequencies(rope, most, 0, dim)) : at::cat(parts);
}

// The two elements of each pair.
std::pair<at::Tensor, at::Tensor> pairs_of(const at::Tensor& x, bool interleaved) {
  if (interleaved) return {x.slice(-1, 0, x.size(-1), 2), x.slice(-1, 1, x.size(-1), 2)};
  const auto halves = x.chunk(2, -1);
  return {halves[0], halves[1]};
}

at::Tensor rotated(const at::Tensor& x_THd, const RotaryTable& table) {
  if (x_THd.is_cpu()) {
    const at::Tensor x = x_THd.contiguous(), y = at::empty(x.sizes(), x.options());
    cpu::rotate_forward(x, table.cos_T1F, table.sin_T1F, table.interleaved, y);
    return y;
  }
  const auto [a, b] = pairs_of(x_THd.to(table.cos_T1F.scalar_type()), table.interleaved);
  return at::cat({a.mul(table.cos_T1F).sub_(b.mul(table.sin_T1F)),
                  b.mul(table.cos_T1F).add_(a.mul(table.sin_T1F))},
                 -1)
      .to(x_THd.scalar_type());
}

// The transposed map.
at::Tensor rotated_back(const at::Tensor& y_THd, const RotaryTable& table) {
  if (y_THd.is_cpu()) {
    const at::Tensor dy = y_THd.contiguous(), dx = at::empty(dy.sizes(), dy.options());
    cpu::rotate_backward(dy, table.cos_T1F, table.sin_T1F, table.interleaved, dx);
    return dx;
  }
  const auto [a, b] = pairs_of(y_THd.to(table.cos_T1F.scalar_type()), false);
  const at::Tensor first = a.mul(table.cos_T1F).add_(b.mul(table.sin_T1F));
  const at::Tensor second = b.mul(table.cos_T1F).sub_(a.mul(table.sin_T1F));
  const at::Tensor x =
      table.interleaved ? at::stack({first, second}, -1).flatten(-2) : at::cat({first, second}, -1);
  return x.to(y_THd.scalar_type());
}

}  // namespace

RotaryTable RotaryTable::make(const Batch& batch, const arch::Rope& rope,
                              std::int64_t max_position_embeddings, std::int64_t dim,
                              at::ScalarType dtype) {
  const at::Tensor angle_T1F = angles(batch, rope, max_position_embeddings, dim).unsqueeze(1);
  const double factor = rope.attention_factor();
  const auto place = at::TensorOptions(dtype).device(batch.positions_T.device());
  return {angle_T1F.cos().mul(factor).to(place), angle_T1F.sin().mul(factor).to(place),
          rope.interleaved};
}

at::Tensor rotate(const at::Tensor& x_THd, const RotaryTable& table) {
  const Span span("rotate");
  return record("rotate", {x_THd}, rotated(x_THd.detach(), table),
                [table](const Tensors& dy) -> Tensors { return {rotated_back(dy[0], table)}; });
}

}  // namespace moesaic
