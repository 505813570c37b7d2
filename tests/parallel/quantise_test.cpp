// Codes against those of bitsandbytes (nf4_golden.h), and what comes back against the values.
#include "parallel/quantise.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <span>
#include <vector>

#include "arch/storage.h"
#include "parallel/nf4_golden.h"

namespace moesaic {
namespace {

using arch::Nf4Layout;
using test::Kind;
using Values = std::vector<float>;

// Uniform in [-1, 1), multiples of 2^-23, by scripts/golden/nf4.py.
Values draws(std::uint32_t seed, std::int64_t count) {
  Values values;
  for (std::int64_t i = 0; i < count; ++i) {
    seed = seed * 1664525U + 1013904223U;
    values.push_back(static_cast<float>(static_cast<std::int32_t>(seed >> 8U) - (1 << 23)) *
                     0x1p-23F);
  }
  return values;
}

Values values_of(const test::Nf4Golden& golden) {
  Values values = draws(golden.seed, golden.count);
  Values borders(nf4::numbers().begin(), nf4::numbers().end());
  for (std::size_t i = 0; i < 15; ++i) borders.push_back((borders[i] + borders[i + 1]) / 2);
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (golden.kind == Kind::kCubed) values[i] = values[i] * values[i] * values[i];
    if (golden.kind == Kind::kZeros) values[i] = values[i] * 0;
    if (golden.kind == Kind::kOneHuge && i == 100) values[i] = 3e38F;
    if (golden.kind == Kind::kBorders) values[i] = borders[i % borders.size()];
  }
  return values;
}

template <class T>
std::uint64_t digest(const std::vector<T>& values) {
  std::uint64_t digest = 0xcbf29ce484222325ULL;
  const auto* bytes = reinterpret_cast<const unsigned char*>(values.data());
  for (std::size_t i = 0; i < values.size() * sizeof(T); ++i)
    digest = (digest ^ bytes[i]) * 0x100000001b3ULL;
  return digest;
}

struct Quantised {
  std::vector<std::uint8_t> codes, scale_codes;
  Values scales, outer_scales;
  float mean = 0;

  explicit Quantised(const Values& values) {
    const Nf4Layout layout{std::ssize(values)};
    codes.resize(static_cast<std::size_t>(layout.code_bytes()));
    scales.resize(static_cast<std::size_t>(layout.blocks()));
    scale_codes.resize(scales.size());
    outer_scales.resize(static_cast<std::size_t>(layout.outer_blocks()));
    nf4::quantise_blocks(values, codes, scales);
    mean = nf4::quantise_scales(scales, scale_codes, outer_scales);
  }
  Values numbers(std::size_t count) const {
    Values back(scales.size()), values(count);
    nf4::dequantise_scales(scale_codes, outer_scales, mean, back);
    nf4::dequantise_blocks(codes, back, values);
    return values;
  }
};

TEST(Nf4, HasTheBitsOfBitsandbytes) {
  for (const test::Nf4Golden& golden : test::kNf4Golden) {
    SCOPED_TRACE(static_cast<int>(golden.kind));
    const Values values = values_of(golden);
    const Quantised quantised(values);
    const std::size_t first = std::min<std::size_t>(32, quantised.codes.size());
    for (std::size_t i = 0; i < first; ++i)
      EXPECT_EQ(quantised.codes[i], golden.first_codes[i]) << "byte " << i;
    EXPECT_EQ(digest(quantised.codes), golden.codes);
    EXPECT_EQ(digest(quantised.scales), golden.scales);
    EXPECT_EQ(digest(quantised.scale_codes), golden.scale_codes);
    EXPECT_EQ(digest(quantised.outer_scales), golden.outer_scales);
    EXPECT_EQ(digest(Values{quantised.mean}), golden.mean);
    EXPECT_EQ(digest(quantised.numbers(values.size())), golden.numbers);
  }
}

TEST(Nf4, HasTheDynamicMapOfBitsandbytes) {
  EXPECT_EQ(digest(Values(nf4::scale_numbers().begin(), nf4::scale_numbers().end())),
            test::kScaleNumbers);
}

TEST(Nf4, IsTheSameInPiecesOfWholeBlocks) {
  const Values values = draws(3, 64 * 5 + 7);
  const Quantised whole(values);
  std::vector<std::uint8_t> codes(whole.codes.size());
  Values scales(whole.scales.size());
  const std::span<const float> all(values);
  const std::size_t cut = 3;  // blocks
  nf4::quantise_blocks(all.first(cut * 64), std::span(codes).first(cut * 32),
                       std::span(scales).first(cut));
  nf4::quantise_blocks(all.subspan(cut * 64), std::span(codes).subspan(cut * 32),
                       std::span(scales).subspan(cut));
  EXPECT_EQ(codes, whole.codes);
  EXPECT_EQ(scales, whole.scales);
}

// Half of the widest gap of the numbers, of the block's largest magnitude; scales lose 1/16 at
// most.
TEST(Nf4, ComesBackNearTheValues) {
  const Values values = draws(5, 64 * 300);
  const Values back = Quantised(values).numbers(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) EXPECT_NEAR(back[i], values[i], 0.16) << i;
}

// Magnitudes that no reciprocal has.
TEST(Nf4, TakesTheSmallestNumbers) {
  Values values(64 * 2 + 3, 0x1p-149F);
  values[70] = -0x1p-140F;
  for (const float number : Quantised(values).numbers(values.size()))
    EXPECT_LE(std::fabs(number), 1e-37F);
}

TEST(Nf4, TakesLittleMoreThanFourBits) {
  const std::int64_t values = 576 * 1536;
  EXPECT_LE(8.0 * static_cast<double>(Nf4Layout{values}.bytes()),
            4.13 * static_cast<double>(values));
}

TEST(Int8, KeepsValuesToHalfAStep) {
  for (const float size : {1.0F, 3e38F, 1e-30F, 0.0F, 0x1p-149F}) {
    Values values = draws(7, 129), back(values.size());
    for (float& value : values) value *= size;
    std::vector<std::int8_t> codes(values.size());
    const float scale = int8::quantise(values, codes);
    int8::dequantise(codes, scale, back);
    const float largest =
        std::fabs(*std::max_element(values.begin(), values.end(),
                                    [](float a, float b) { return std::fabs(a) < std::fabs(b); }));
    for (std::size_t i = 0; i < values.size(); ++i)
      EXPECT_LE(std::fabs(back[i] - values[i]), std::max(largest / 253, 1e-36F)) << size;
    const auto largest_code = std::max_element(
        codes.begin(), codes.end(), [](int a, int b) { return std::abs(a) < std::abs(b); });
    EXPECT_EQ(std::abs(int{*largest_code}), largest > 1e-36F ? 127 : 0) << size;
  }
}

}  // namespace
}  // namespace moesaic
