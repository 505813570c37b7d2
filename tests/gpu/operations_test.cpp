// Every operation of nn on a device against the CPU, in float32 and bfloat16.
#include <ATen/core/grad_mode.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>

#include "gpu/device_test.h"
#include "nn/attention.h"
#include "nn/grouped_product.h"
#include "nn/norm.h"
#include "nn/ops.h"
#include "nn/rotary.h"
#include "nn/swiglu.h"

namespace moesaic::test {
namespace {

constexpr std::int64_t kVocabulary = 11, kWidth = 16, kOut = 24;
constexpr double kEps = 1e-5;

class Operations : public DeviceTest {
 protected:
  Batch batch = batch_of({3, 1, 7}, kVocabulary);
  std::int64_t tokens = batch.tokens();
};

TEST_F(Operations, Embedding) {
  const auto w = at::randn({kVocabulary, kWidth});
  compare(device(), batch, [&](Bench& b, at::ScalarType) -> Tensors {
    return {embedding(b.context, b.parameter(w), b.batch().ids_T)};
  });
}

TEST_F(Operations, LinearWithAndWithoutABias) {
  const auto x = at::randn({tokens, kWidth}), w = at::randn({kOut, kWidth}), c = at::randn({kOut});
  compare(device(), batch, [&](Bench& b, at::ScalarType dtype) -> Tensors {
    const auto in = b.input(x.to(dtype));
    const Parameter &weight = b.parameter(w), &bias = b.parameter(c);
    return {linear(b.context, weight, &bias, in), linear(b.context, weight, nullptr, in)};
  });
}

// Widths that the kernel for all groups takes, and one that it does not; groups without rows.
TEST_F(Operations, GroupedLinear) {
  for (const std::int64_t width : {kWidth, std::int64_t{12}}) {
    const auto x = at::randn({tokens, width}), w = at::randn({5, kOut, width});
    compare(device(), batch, [&](Bench& b, at::ScalarType dtype) -> Tensors {
      const RowGroups groups{GroupOffsets({0, 0, 4, 4, 11, 11}), b.batch().example_id_T};
      return {grouped_linear(b.context, b.parameter(w), b.input(x.to(dtype)), groups)};
    });
  }
}

TEST_F(Operations, MapsOfWeightsThatAreKeptAsCodes) {
  const auto x = at::randn({tokens, 70}), w = at::randn({kOut, 70}), e = at::randn({5, kOut, 70});
  for (const auto storage : {arch::Storage::kInt8, arch::Storage::kNf4}) {
    compare(device(), batch, [&](Bench& b, at::ScalarType dtype) -> Tensors {
      const auto in = b.input(x.to(dtype));
      const RowGroups groups{GroupOffsets({0, 0, 4, 4, 11, 11}), b.batch().example_id_T};
      return {linear(b.context, b.quantised(storage, w), nullptr, in),
              grouped_linear(b.context, b.quantised(storage, e), in, groups)};
    });
  }
}

// Where the groups begin is known on the device alone.
TEST_F(Operations, GroupedLinearByCountsOfTheDevice) {
  const auto x = at::randn({tokens, kWidth}), w = at::randn({3, kOut, kWidth});
  const auto counts = at::tensor({6, 0, 5}, at::kLong);
  compare(device(), batch, [&](Bench& b, at::ScalarType dtype) -> Tensors {
    const RowGroups groups{GroupOffsets(counts.to(device())), b.batch().example_id_T};
    return {grouped_linear(b.context, b.parameter(w), b.input(x.to(dtype)), groups)};
  });
}

// As many rows and experts as a real layer has.
TEST_F(Operations, GroupedLinearOfManyRows) {
  const std::int64_t experts = 64, rows = 4096, width = 128;
  const auto x = at::randn({rows, width}), w = at::randn({experts, width, width}).div(8);
  const auto counts = at::randint(experts, {rows}, at::kLong).bincount({}, experts);
  const Batch many = batch_of({rows}, kVocabulary);
  compare(device(), many, [&](Bench& b, at::ScalarType dtype) -> Tensors {
    const RowGroups groups{GroupOffsets(counts.to(b.batch().ids_T.device())),
                           b.batch().example_id_T};
    return {grouped_linear(b.context, b.parameter(w), b.input(x.to(dtype)), groups)};
  });
}

TEST_F(Operations, NormsAndResiduals) {
  const auto x = at::randn({tokens, kWidth}), y = at::randn({tokens, kWidth}),
             v = at::randn({kWidth}), w = at::randn({kWidth});
  compare(device(), batch, [&](Bench& b, at::ScalarType dtype) -> Tensors {
    const Parameter &first = b.parameter(v), &second = b.parameter(w);
    const auto in = b.input(x), branch = b.input(y.to(dtype));
    const Residual one = residual_norm(b.context, first, in, kEps, dtype);
    const Residual two = add_residual_norm(b.context, second, one.stream_TD, branch, kEps);
    return {rms_norm(b.context, first, in, kEps, dtype), two.stream_TD, two.normal_TD,
            add_residual(two.stream_TD, one.normal_TD)};
  });
}

TEST_F(Operations, Rotary) {
  const auto x = at::randn({tokens, 2, 8});
  for (const char* type : {"default", "linear", "dynamic", "llama3", "yarn"}) {
    for (const bool interleaved : {false, true}) {
      const arch::Rope rope{.type = type,
                            .factor = 4,
                            .original_max_position_embeddings = 4,
                            .low_freq_factor = 1,
                            .high_freq_factor = 4,
                            .interleaved = interleaved};
      compare(device(), batch, [&](Bench& b, at::ScalarType dtype) -> Tensors {
        const RotaryTable table = RotaryTable::make(b.batch(), rope, 4, 8, at::kFloat);
        return {rotate(b.input(x.to(dtype)), table)};
      });
    }
  }
}

TEST_F(Operations, CausalAttentionOfGroupedHeads) {
  const auto q = at::randn({tokens, 4, 8}), k = at::randn({tokens, 2, 8}),
             v = at::randn({tokens, 2, 16});
  compare(device(), batch, [&](Bench& b, at::ScalarType dtype) -> Tensors {
    return {causal_attention(b.input(q.to(dtype)), b.input(k.to(dtype)), b.input(v.to(dtype)),
                             b.batch().attention_offsets, 0.35)};
  });
}

TEST_F(Operations, AttentionToEarlierTokens) {
  const auto q = at::randn({2, 4, 8}), k = at::randn({tokens, 2, 8}), v = at::randn({tokens, 2, 8});
  compare(device(), batch, [&](Bench& b, at::ScalarType dtype) -> Tensors {
    const at::NoGradGuard no_gradients;
    const KvCache::Rows seen[] = {{b.input(k.to(dtype)), b.input(v.to(dtype))}};
    return {attention_to_earlier(b.input(q.to(dtype)), seen, {0, 2}, 0.35, at::kFloat)};
  });
}

TEST_F(Operations, Swiglu) {
  const auto g = at::randn({tokens, kOut}), u = at::randn({tokens, kOut}), w = at::rand({tokens});
  compare(device(), batch, [&](Bench& b, at::ScalarType dtype) -> Tensors {
    const auto gate = b.input(g.to(dtype)), up = b.input(u.to(dtype));
    return {swiglu(gate, up), weighted_swiglu(gate, up, b.input(w))};
  });
}

}  // namespace
}  // namespace moesaic::test
