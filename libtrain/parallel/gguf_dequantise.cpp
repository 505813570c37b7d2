#include "parallel/gguf_dequantise.h"

#include <c10/util/BFloat16.h>
#include <c10/util/Half.h>

#include <cstring>
#include <string_view>
#include <utility>

#include "core/error.h"

namespace moesaic {
namespace {

using Bytes = const std::uint8_t*;

float half_at(Bytes at) {
  std::uint16_t bits;
  std::memcpy(&bits, at, sizeof bits);
  return c10::Half(bits, c10::Half::from_bits());
}

// Bit i of a block of 32: low halves of the bytes are the first 16 values.
void nibbles(Bytes codes, float scale, float shift, int zero, float* out) {
  for (int i = 0; i < 16; ++i) {
    out[i] = static_cast<float>((codes[i] & 15) - zero) * scale + shift;
    out[i + 16] = static_cast<float>((codes[i] >> 4) - zero) * scale + shift;
  }
}

void q4_0(Bytes b, float* out) { nibbles(b + 2, half_at(b), 0, 8, out); }
void q4_1(Bytes b, float* out) { nibbles(b + 4, half_at(b), half_at(b + 2), 0, out); }

void q8_0(Bytes b, float* out) {
  const float scale = half_at(b);
  for (int i = 0; i < 32; ++i)
    out[i] = static_cast<float>(static_cast<std::int8_t>(b[2 + i])) * scale;
}

void q4_k(Bytes b, float* out) {
  const float d = half_at(b), dmin = half_at(b + 2);
  const Bytes packed = b + 4, codes = b + 16;
  for (int j = 0; j < 8; ++j) {
    const auto [scale, minimum] = ScaleAndMinimum::at(packed, j);
    const float s = d * static_cast<float>(scale), m = dmin * static_cast<float>(minimum);
    for (int i = 0; i < 32; ++i) {
      const int code = codes[j / 2 * 32 + i] >> (j % 2 * 4) & 15;
      out[j * 32 + i] = s * static_cast<float>(code) - m;
    }
  }
}

void q6_k(Bytes b, float* out) {
  const float d = half_at(b + 208);
  for (int i = 0; i < 256; i += 16, out += 16) {
    const int part = i / 128, quarter = i % 128 / 32;
    const Bytes low = b + part * 64 + quarter % 2 * 32 + i % 32,
                high = b + 128 + part * 32 + i % 32;
    const float scale = d * static_cast<float>(static_cast<std::int8_t>(b[192 + i / 16]));
    for (int lane = 0; lane < 16; ++lane) {
      const int code = (low[lane] >> (quarter / 2 * 4) & 15) | (high[lane] >> (quarter * 2) & 3)
                                                                   << 4;
      out[lane] = scale * static_cast<float>(code - 32);
    }
  }
}

void f16(Bytes b, float* out) { *out = half_at(b); }
void f32(Bytes b, float* out) { std::memcpy(out, b, sizeof *out); }

void bf16(Bytes b, float* out) {
  std::uint16_t bits;
  std::memcpy(&bits, b, sizeof bits);
  *out = c10::BFloat16(bits, c10::BFloat16::from_bits());
}

using Loop = void (*)(Bytes blocks, std::int64_t values, float* out);

template <void (*block)(Bytes, float*), int kValues, int kBytes>
void each(Bytes blocks, std::int64_t values, float* out) {
  for (std::int64_t i = 0; i < values; i += kValues, blocks += kBytes) block(blocks, out + i);
}

Loop loop_of(const GgufTensorType& type) {
  constexpr std::pair<std::string_view, Loop> kLoops[] = {
      {"F32", each<f32, 1, 4>},       {"F16", each<f16, 1, 2>},      {"BF16", each<bf16, 1, 2>},
      {"Q8_0", each<q8_0, 32, 34>},   {"Q4_0", each<q4_0, 32, 18>},  {"Q4_1", each<q4_1, 32, 20>},
      {"Q4_K", each<q4_k, 256, 144>}, {"Q6_K", each<q6_k, 256, 210>}};
  for (const auto& [name, loop] : kLoops)
    if (name == type.name) return loop;
  throw Error(ErrorKind::kInternal, format("no values of {}", type.name));
}

}  // namespace

void dequantise(const GgufTensorType& type, const std::uint8_t* blocks, std::int64_t values,
                float* out) {
  loop_of(type)(blocks, values, out);
}

}  // namespace moesaic
