#include "parallel/quantise.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "arch/storage.h"

namespace moesaic {
namespace {

constexpr std::size_t kBlock = arch::Nf4Layout::kBlock;
constexpr std::size_t kOuterBlock = arch::Nf4Layout::kOuterBlock;
constexpr float kLeastScale = 1e-38F;  // as bitsandbytes has it: blocks of zeros divide by it

float largest_magnitude(std::span<const float> values) {
  float largest = 0;
  for (const float value : values) largest = std::max(largest, std::fabs(value));
  return largest;
}

// The borders between neighbours; a value on one goes to the lower.
template <std::size_t count>
std::array<float, count - 1> midpoints(const std::array<float, count>& ascending) {
  std::array<float, count - 1> borders{};
  for (std::size_t i = 0; i + 1 < count; ++i) borders[i] = (ascending[i] + ascending[i + 1]) / 2;
  return borders;
}

// Calls visit(block, first, size) for the blocks of `count` values.
template <class Visit>
void for_each_block(std::size_t count, std::size_t block_size, const Visit& visit) {
  for (std::size_t first = 0, block = 0; first < count; first += block_size, ++block)
    visit(block, first, std::min(block_size, count - first));
}

}  // namespace

namespace int8 {

float quantise(std::span<const float> values, std::span<std::int8_t> codes) {
  constexpr float kMost = 127;
  const float scale = largest_magnitude(values) / kMost;
  if (scale < std::numeric_limits<float>::min()) {  // too small to divide by
    std::fill(codes.begin(), codes.end(), std::int8_t{0});
    return 0;
  }
  for (std::size_t i = 0; i < values.size(); ++i) {
    const float rounded = std::nearbyint(values[i] / scale);
    codes[i] = static_cast<std::int8_t>(std::clamp(rounded, -kMost, kMost));
  }
  return scale;
}

void dequantise(std::span<const std::int8_t> codes, float scale, std::span<float> values) {
  for (std::size_t i = 0; i < codes.size(); ++i) values[i] = scale * static_cast<float>(codes[i]);
}

}  // namespace int8

namespace nf4 {
namespace {

// fraction / 2^level of the way from 0.1 to 1, in the roundings of torch.linspace: a float step,
// counted from the nearer end.
float on_the_way(int level, int fraction) {
  const int steps = 1 << level;
  const float first = 0.1F;
  const double step = static_cast<double>((1.0F - first) / static_cast<float>(steps));
  const double value = fraction < (steps + 1) / 2 ? static_cast<double>(first) + step * fraction
                                                  : 1.0 - step * (steps - fraction);
  return static_cast<float>(value);
}

std::array<float, 256> make_scale_numbers() {
  constexpr int kLevels = 7;
  std::array<float, 256> numbers{};  // one is 0
  std::size_t next = 0;
  numbers[next++] = 1;
  for (int level = 0; level < kLevels; ++level) {
    const auto power = static_cast<float>(std::pow(10.0, level + 1 - kLevels));
    for (int i = 0; i < 1 << level; ++i) {
      const float mean = (on_the_way(level, i) + on_the_way(level, i + 1)) / 2;
      numbers[next++] = power * mean;
      numbers[next++] = -power * mean;
    }
  }
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

std::uint8_t code_of(float value, const std::array<float, 15>& borders) {
  int code = 0;
  for (const float border : borders) code += border < value ? 1 : 0;
  return static_cast<std::uint8_t>(code);
}

// A value within -1 and 1 goes to the nearest point of a grid, and from there to the nearest
// number.
std::uint8_t scale_code_of(float value, const std::array<float, 255>& borders) {
  constexpr float kSteps = 65535;
  const auto point = static_cast<int>((value + 1) * 0.5F * kSteps + 0.5F);
  const float on_grid = -1 + 2 * static_cast<float>(point) / kSteps;
  const auto place = std::lower_bound(borders.begin(), borders.end(), on_grid);
  return static_cast<std::uint8_t>(place - borders.begin());
}

}  // namespace

const std::array<float, 16>& numbers() {
  static constexpr std::array<float, 16> kNumbers = {
      -1.0F,         -0.6961928F, -0.52507305F, -0.3949175F, -0.28444138F, -0.18477343F,
      -0.091050036F, 0.0F,        0.0795803F,   0.1609302F,  0.2461123F,   0.33791524F,
      0.44070983F,   0.562617F,   0.72295684F,  1.0F};
  return kNumbers;
}

const std::array<float, 256>& scale_numbers() {
  static const std::array<float, 256> made = make_scale_numbers();
  return made;
}

void quantise_blocks(std::span<const float> values, std::span<std::uint8_t> codes,
                     std::span<float> scales) {
  const std::array<float, 15> borders = midpoints(numbers());
  std::fill(codes.begin(), codes.end(), std::uint8_t{0});
  const auto put = [&codes](std::size_t i, std::uint8_t code) {
    codes[i / 2] = static_cast<std::uint8_t>(codes[i / 2] | (i % 2 == 0 ? code << 4 : code));
  };
  for_each_block(values.size(), kBlock,
                 [&](std::size_t block, std::size_t first, std::size_t size) {
                   const float largest = largest_magnitude(values.subspan(first, size));
                   const float divisor = std::max(largest, kLeastScale);
                   const bool whole = size == kBlock;
                   const float factor = 1 / divisor;
                   scales[block] = whole ? largest : divisor;
                   for (std::size_t i = first; i < first + size; ++i) {
                     const float scaled = whole ? values[i] * factor : values[i] / divisor;
                     put(i, code_of(std::clamp(scaled, -1.0F, 1.0F), borders));
                   }
                 });
  if (values.size() % 2 == 1) put(values.size(), code_of(0, borders));
}

float quantise_scales(std::span<const float> scales, std::span<std::uint8_t> codes,
                      std::span<float> outer_scales) {
  double sum = 0;  // in order: the same on every machine
  for (const float scale : scales) sum += static_cast<double>(scale);
  const auto mean = static_cast<float>(sum / static_cast<double>(scales.size()));
  const std::array<float, 255> borders = midpoints(scale_numbers());
  const auto visit = [&](std::size_t block, std::size_t first, std::size_t size) {
    float largest = 0;
    for (const float scale : scales.subspan(first, size))
      largest = std::max(largest, std::fabs(scale - mean));
    const float factor = 1 / largest;
    const bool even = std::isinf(factor);  // no difference, or none to speak of
    outer_scales[block] = even ? 0 : largest;
    for (std::size_t i = first; i < first + size; ++i) {
      const float scaled = std::clamp((scales[i] - mean) * factor, -1.0F, 1.0F);
      codes[i] = even ? std::uint8_t{0} : scale_code_of(scaled, borders);
    }
  };
  for_each_block(scales.size(), kOuterBlock, visit);
  return mean;
}

void dequantise_scales(std::span<const std::uint8_t> codes, std::span<const float> outer_scales,
                       float mean, std::span<float> scales) {
  const std::array<float, 256>& known = scale_numbers();
  for (std::size_t i = 0; i < codes.size(); ++i)
    scales[i] = known[codes[i]] * outer_scales[i / kOuterBlock] + mean;
}

void dequantise_blocks(std::span<const std::uint8_t> codes, std::span<const float> scales,
                       std::span<float> values) {
  for_each_block(values.size(), kBlock,
                 [&](std::size_t block, std::size_t first, std::size_t size) {
                   std::array<float, 16> scaled{};
                   for (std::size_t code = 0; code < scaled.size(); ++code)
                     scaled[code] = numbers()[code] * scales[block];
                   const std::size_t pairs = size / 2;
                   for (std::size_t i = 0; i < pairs; ++i) {
                     const std::uint8_t both = codes[first / 2 + i];
                     values[first + 2 * i] = scaled[both >> 4];
                     values[first + 2 * i + 1] = scaled[both & 15];
                   }
                   if (size % 2 == 1)
                     values[first + size - 1] = scaled[codes[(first + size) / 2] >> 4];
                 });
}

}  // namespace nf4

}  // namespace moesaic
