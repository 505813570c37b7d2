// The hot operations of a step, at the sizes of recipes/pretrain/olmoe-90m.yaml, each with the
// share of the machine's rate that it reaches: of the best matrix product for what multiplies, of a
// copy in memory for what only moves and maps values. Build with -D MOESAIC_BENCH=ON.
#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/randperm.h>
#include <ATen/ops/zeros.h>
#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "core/clock.h"
#include "nn/cpu/attention.h"
#include "nn/cpu/blocked_product.h"
#include "nn/cpu/rms_norm.h"
#include "nn/cpu/rotary.h"
#include "nn/cpu/rows.h"
#include "nn/cpu/swiglu.h"
#include "nn/cpu/token_loss.h"
#include "nn/grouped_product.h"
#include "nn/matmul.h"
#include "nn/quantised_product.h"
#include "optim/optimizer.h"
#include "support/file_blocks.h"
#include "support/parameters.h"

namespace moesaic {
namespace {

constexpr std::int64_t kTokens = 4096, kHidden = 512, kHeads = 8, kWidth = 64, kVocabulary = 8192;
constexpr MatmulKernel kKernel = MatmulKernel::kOneDnn;

at::ScalarType dtype_of(const benchmark::State& state) {
  return state.range(0) == 0 ? at::kFloat : at::kBFloat16;
}
at::Tensor random(const benchmark::State& state, at::IntArrayRef sizes) {
  return at::randn(sizes).to(dtype_of(state));
}
at::Tensor like(const at::Tensor& x) { return at::empty(x.sizes(), x.options()); }

// Best of a few, GFLOP/s.
double product_rate(at::ScalarType dtype) {
  const at::Tensor a = at::randn({1024, 1024}).to(dtype), b = at::randn({1024, 1024}).to(dtype);
  double best = 0;
  for (int i = 0; i < 8; ++i) {
    const Stopwatch watch;
    product(a, b, kKernel);
    best = std::max(best, 2.0 * 1024 * 1024 * 1024 / watch.seconds() / 1e9);
  }
  return best;
}

// Bytes read and written by a copy that does not fit the cache, GB/s.
double copy_rate() {
  const at::Tensor from = at::ones({32 << 20}), to = at::ones({32 << 20});
  double best = 0;
  for (int i = 0; i < 5; ++i) {
    const Stopwatch watch;
    std::memcpy(to.mutable_data_ptr(), from.const_data_ptr(), from.nbytes());
    best = std::max(best, 2 * static_cast<double>(from.nbytes()) / watch.seconds() / 1e9);
  }
  return best;
}

// Of products in float32 and bfloat16, of a copy; measured once.
const std::array<double, 3>& rates_of_machine() {
  static const std::array<double, 3> rates = {product_rate(at::kFloat), product_rate(at::kBFloat16),
                                              copy_rate()};
  return rates;
}

// Times `work`, which does `flops` operations or moves `bytes`.
template <class Work>
void measure(benchmark::State& state, double flops, double bytes, const Work& work) {
  at::set_num_threads(1);
  const auto& rates = rates_of_machine();
  double seconds = 0;
  for (auto _ : state) {
    const Stopwatch watch;
    work();
    seconds += watch.seconds();
  }
  const double each = seconds / static_cast<double>(state.iterations()) * 1e9;
  if (flops > 0) {
    state.counters["GFLOP/s"] = flops / each;
    state.counters["of_product"] = flops / each / rates[static_cast<std::size_t>(state.range(0))];
  } else {
    state.counters["GB/s"] = bytes / each;
    state.counters["of_copy"] = bytes / each / rates[2];
  }
  state.SetLabel(state.range(0) == 0 ? "float32" : "bfloat16");
}

double bytes_of(std::initializer_list<at::Tensor> tensors) {
  double bytes = 0;
  for (const at::Tensor& x : tensors) bytes += static_cast<double>(x.nbytes());
  return bytes;
}

void linear_forward(benchmark::State& state) {
  const auto x = random(state, {kTokens, kHidden}), w = random(state, {kHidden, kHidden}),
             y = random(state, {kTokens, kHidden});
  measure(state, 2.0 * kTokens * kHidden * kHidden, 0, [&] { product_into(x, w, kKernel, y); });
}

void linear_input_gradient(benchmark::State& state) {
  const auto dy = random(state, {kTokens, kHidden}), w = random(state, {kHidden, kHidden}),
             dx = random(state, {kTokens, kHidden});
  measure(state, 2.0 * kTokens * kHidden * kHidden, 0,
          [&] { product_into(dy, w.t(), kKernel, dx); });
}

void linear_weight_gradient(benchmark::State& state) {
  const auto dy = random(state, {kTokens, kHidden}), x = random(state, {kTokens, kHidden});
  const auto sum = at::zeros({kHidden, kHidden});
  measure(state, 2.0 * kTokens * kHidden * kHidden, 0,
          [&] { add_product_of_rows(dy, x, kKernel, sum); });
}

void expert_forward(benchmark::State& state) {  // of so many rows
  const std::int64_t rows = state.range(1);
  const auto x = random(state, {rows, kHidden}), w = random(state, {kHidden, kHidden}),
             y = random(state, {rows, kHidden});
  measure(state, 2.0 * static_cast<double>(rows) * kHidden * kHidden, 0,
          [&] { product_into(x, w, kKernel, y); });
}

// One token's product with an output head, which no cache holds: the weight's bytes a second.
constexpr std::int64_t kHeadRows = 49152, kHeadWidth = 768;

void one_row(benchmark::State& state) {  // of float32, with a weight of either type
  const auto x = at::randn({1, kHeadWidth}), w = random(state, {kHeadRows, kHeadWidth}),
             y = at::empty({1, kHeadRows});
  measure(state, 0, bytes_of({w}), [&] { product_into(x, w, kKernel, y); });
}

void one_row_of_blocks(benchmark::State& state) {  // with a weight as a GGUF file has it
  const test::BlockType& type = test::block_types()[static_cast<std::size_t>(state.range(1))];
  const QuantisedWeight weight = test::random_blocks(type, {kHeadRows, kHeadWidth});
  const auto x = at::randn({1, kHeadWidth}), y = at::empty({1, kHeadRows});
  measure(state, 0, bytes_of({weight.parts()[0]}),
          [&] { product_into(x, weight, 0, false, kKernel, y); });
  state.SetLabel(type.type.name);
}

// Adapters of rank 16 beside 16 experts of so many rows each, without the experts' own products:
// added where the map's result lies (1), or as a sum of two tensors of full width (0).
constexpr std::int64_t kExperts = 16, kRank = 16;

struct Pairs {
  GroupOffsets offsets;
  at::Tensor x, y, dy, dx, a, b, h;
  at::Tensor da = at::zeros({kExperts, kRank, kHidden}), db = at::zeros({kExperts, kHidden, kRank});
  double flops;

  explicit Pairs(const benchmark::State& state)
      : offsets(at::full({kExperts}, state.range(1), at::kLong)),
        flops(2.0 * kExperts * static_cast<double>(state.range(1)) * kHidden * kRank) {
    const std::int64_t rows = kExperts * state.range(1);
    for (at::Tensor* wide : {&x, &y, &dy, &dx}) *wide = random(state, {rows, kHidden});
    h = random(state, {rows, kRank});
    a = random(state, {kExperts, kRank, kHidden}), b = random(state, {kExperts, kHidden, kRank});
  }
  at::Tensor times(const at::Tensor& rows, const at::Tensor& w, bool transposed) const {
    return grouped_product(rows, w, transposed, offsets, kKernel);
  }
  void add_times(const at::Tensor& rows, const at::Tensor& w, bool transposed,
                 const at::Tensor& sum) const {
    add_grouped_product(rows, w, transposed, offsets, kKernel, sum);
  }
};

void pairs_forward(benchmark::State& state) {
  const Pairs p(state);
  measure(state, 2 * p.flops, 0, [&] {
    if (state.range(2) == 1)
      p.add_times(p.times(p.x, p.a, false).mul_(0.5), p.b, false, p.y);
    else
      p.y.add(p.times(p.times(p.x, p.a, false), p.b, false), 0.5);
  });
}

void pairs_backward(benchmark::State& state) {
  const Pairs p(state);
  measure(state, 4 * p.flops, 0, [&] {
    const bool in_place = state.range(2) == 1;
    const at::Tensor dy = in_place ? p.dy : p.dy.mul(0.5);
    add_grouped_product_of_rows(dy, p.h, p.offsets, kKernel, p.db);
    const at::Tensor dh = p.times(dy, p.b, true);
    if (in_place) dh.mul_(0.5);
    add_grouped_product_of_rows(dh, p.x, p.offsets, kKernel, p.da);
    if (in_place)
      p.add_times(dh, p.a, true, p.dx);
    else
      p.dx.add_(p.times(dh, p.a, true));
  });
}

// Products of the causal half: two forward, five backward.
constexpr double kHalf = kTokens * kHeads * 512.0 * kWidth;  // multiply-adds of one, x 2 / 2

cpu::CausalAttention eight_sequences() {
  cpu::CausalAttention op{{0}, 0.125};
  for (int b = 1; b <= 8; ++b) op.sequence_offsets.push_back(512 * b);
  return op;
}

void attention_forward(benchmark::State& state) {
  const auto q = random(state, {kTokens, kHeads, kWidth}), k = like(q).copy_(q),
             v = like(q).copy_(q);
  const auto y = like(q), lse = at::empty({kTokens, kHeads});
  measure(state, 2 * kHalf, 0, [&] { cpu::attention_forward(eight_sequences(), q, k, v, y, lse); });
}

void attention_backward(benchmark::State& state) {
  const auto q = random(state, {kTokens, kHeads, kWidth}), k = like(q).copy_(q),
             v = like(q).copy_(q);
  const auto y = like(q), lse = at::empty({kTokens, kHeads}), dq = like(q), dk = like(q),
             dv = like(q);
  cpu::attention_forward(eight_sequences(), q, k, v, y, lse);
  measure(state, 5 * kHalf, 0,
          [&] { cpu::attention_backward(eight_sequences(), q, q, k, v, y, lse, dq, dk, dv); });
}

void rms_norm_forward(benchmark::State& state) {
  const auto x = at::randn({kTokens, kHidden}), scale = at::randn({kHidden}),
             rstd = at::empty({kTokens});
  const auto y = random(state, {kTokens, kHidden});
  measure(state, 0, bytes_of({x, y}), [&] { cpu::rms_norm_forward(x, scale, 1e-5, y, rstd); });
}

void rms_norm_backward(benchmark::State& state) {
  const auto x = at::randn({kTokens, kHidden}), scale = at::randn({kHidden}),
             rstd = at::ones({kTokens}), dx = like(x);
  const auto dy = random(state, {kTokens, kHidden});
  measure(state, 0, bytes_of({x, dy, dx}), [&] { cpu::rms_norm_backward(dy, x, rstd, scale, dx); });
}

void rotary(benchmark::State& state) {
  const auto x = random(state, {kTokens, kHeads, kWidth}), y = like(x);
  const auto cos = at::randn({kTokens, 1, kWidth / 2}), sin = at::randn({kTokens, 1, kWidth / 2});
  measure(state, 0, bytes_of({x, y, cos, sin}),
          [&] { cpu::rotate_forward(x, cos, sin, false, y); });
}

void swiglu_forward(benchmark::State& state) {
  const auto gate = random(state, {2 * kTokens, kHidden}), up = like(gate).copy_(gate),
             y = like(gate);
  const auto weight = at::randn({2 * kTokens});
  measure(state, 0, bytes_of({gate, up, y}), [&] { cpu::swiglu_forward(gate, up, weight, y); });
}

void swiglu_backward(benchmark::State& state) {
  const auto gate = random(state, {2 * kTokens, kHidden}), up = like(gate).copy_(gate),
             dy = like(gate).copy_(gate), dgate = like(gate), dup = like(gate);
  const auto weight = at::randn({2 * kTokens}), dweight = like(weight);
  measure(state, 0, bytes_of({gate, up, dy, dgate, dup}),
          [&] { cpu::swiglu_backward(dy, gate, up, weight, dgate, dup, dweight); });
}

void permute(benchmark::State& state) {  // to the experts
  const auto x = random(state, {kTokens, kHidden});
  const auto token = at::randint(0, kTokens, {2 * kTokens}, at::kLong);
  measure(state, 0, 2 * 2 * bytes_of({x}), [&] { x.index_select(0, token); });
}

void unpermute(benchmark::State& state) {  // back, with the sum over a token's choices
  const auto y = random(state, {2 * kTokens, kHidden}), out = random(state, {kTokens, kHidden});
  const auto place = at::randperm(2 * kTokens, at::kLong);
  measure(state, 0, bytes_of({y, out}), [&] { cpu::sum_of_rows(y, place, out); });
}

void token_loss(benchmark::State& state) {  // with its gradient, a block of rows
  const auto logits = random(state, {256, kVocabulary}), loss = at::empty({256});
  const auto targets = at::randint(0, kVocabulary, {256}, at::kLong);
  measure(state, 0, 2 * bytes_of({logits}),
          [&] { cpu::token_loss_and_gradient(logits, targets, 1e-4, loss); });
}

void adamw(benchmark::State& state) {  // 16 M parameters; always float32
  const ParameterSet parameters({test::parameter_of("w", at::randn({4096, 4096}))});
  const auto optimizer = make_adamw(parameters, {});
  const Gradients gradients = {{{parameters[0], at::randn({4096, 4096})}}};
  std::int64_t step = 0;
  measure(state, 0, 7 * bytes_of({parameters[0].tensor}),
          [&] { optimizer->step(gradients, ++step, 1e-4); });
}

#define MOESAIC_BENCH_OP(op) BENCHMARK(op)->Arg(0)->Arg(1)->Unit(benchmark::kMicrosecond)
MOESAIC_BENCH_OP(linear_forward);
MOESAIC_BENCH_OP(linear_input_gradient);
MOESAIC_BENCH_OP(linear_weight_gradient);
BENCHMARK(pairs_forward)->ArgsProduct({{0, 1}, {128, 512}, {0, 1}})->Unit(benchmark::kMicrosecond);
BENCHMARK(pairs_backward)->ArgsProduct({{0, 1}, {128, 512}, {0, 1}})->Unit(benchmark::kMicrosecond);
BENCHMARK(expert_forward)->ArgsProduct({{0, 1}, {1, 16, 37, 512}})->Unit(benchmark::kMicrosecond);
MOESAIC_BENCH_OP(one_row);
BENCHMARK(one_row_of_blocks)->ArgsProduct({{0}, {0, 1, 2, 3, 4, 5}})->Unit(benchmark::kMicrosecond);
MOESAIC_BENCH_OP(attention_forward);
MOESAIC_BENCH_OP(attention_backward);
MOESAIC_BENCH_OP(rms_norm_forward);
MOESAIC_BENCH_OP(rms_norm_backward);
MOESAIC_BENCH_OP(rotary);
MOESAIC_BENCH_OP(swiglu_forward);
MOESAIC_BENCH_OP(swiglu_backward);
MOESAIC_BENCH_OP(permute);
MOESAIC_BENCH_OP(unpermute);
MOESAIC_BENCH_OP(token_loss);
BENCHMARK(adamw)->Arg(0)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace moesaic
