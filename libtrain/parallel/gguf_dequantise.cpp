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
  for (int i = 0; i < 256; ++i) {
    const int part = i / 128, quarter = i % 128 / 32, lane = i % 32;
    const int low = b[part * 64 + quarter % 2 * 32 + lane] >> (quarter / 2 * 4) & 15;
    const int high = b[128 + part * 32 + lane] >> (quarter * 2) & 3;
    const auto scale = static_cast<std::int8_t>(b[192 + i / 16]);
    out[i] = d * static_cast<float>(scale) * static_cast<float>((low | high << 4) - 32);
  }
}

void f16(Bytes b, float* out) { *out = half_at(b); }
void f32(Bytes b, float* out) { std::memcpy(out, b, sizeof *out); }

void bf16(Bytes b, float* out) {
  std::uint16_t bits;
  std::memcpy(&bits, b, sizeof bits);
  *out = c10::BFloat16(bits, c10::BFloat16::from_bits());
}

using Block = void (*)(Bytes block, float* out);

Block block_of(const GgufTensorType& type) {
  constexpr std::pair<std::string_view, Block> kBlocks[] = {
      {"F32", f32},   {"F16", f16},   {"BF16", bf16}, {"Q8_0", q8_0},
      {"Q4_0", q4_0}, {"Q4_1", q4_1}, {"Q4_K", q4_k}, {"Q6_K", q6_k}};
  for (const auto& [name, block] : kBlocks)
    if (name == type.name) return block;
  throw Error(ErrorKind::kInternal, format("no values of {}", type.name));
}

}  // namespace

void dequantise(const GgufTensorType& type, const std::uint8_t* blocks, std::int64_t values,
                float* out) {
  const Block block = block_of(type);
  for (std::int64_t i = 0; i < values; i += type.values, blocks += type.bytes)
    block(blocks, out + i);
}

}  // namespace moesaic
