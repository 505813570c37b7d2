// Codes for the values of a matrix: int8 with a scale for each row, and NF4, NormalFloat numbers of
// 4 bits in blocks with a scale each, these in turn in 8 bits (double quantisation; Dettmers et al.
// 2023, arXiv 2305.14314). Codes and scales of NF4 are those of bitsandbytes to the bit. On arrays,
// by the calling thread. All values are finite.
#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace moesaic {

namespace int8 {

/// codes = the integers next to values / scale, scale = largest magnitude / 127 -> scale.
float quantise(std::span<const float> values, std::span<std::int8_t> codes);
/// values = scale codes.
void dequantise(std::span<const std::int8_t> codes, float scale, std::span<float> values);

}  // namespace int8

/// A matrix has the parts of arch::Nf4Layout. Blocks may be done in pieces, each of whole blocks
/// but the last of the matrix.
namespace nf4 {

/// What the codes 0 to 15 stand for, ascending from -1 to 1 (appendix E of the paper).
const std::array<float, 16>& numbers();
/// What the 8-bit codes of scales stand for, ascending: the dynamic map of Dettmers 2015 (arXiv
/// 1511.04561), as bitsandbytes makes it.
const std::array<float, 256>& scale_numbers();

/// n values -> codes [(n + 1) / 2], the first of two in the high half of a byte, and the scale of
/// each block, its largest magnitude.
void quantise_blocks(std::span<const float> values, std::span<std::uint8_t> codes,
                     std::span<float> scales);
/// All scales of a matrix -> a code each, for their difference from the mean, and the largest
/// magnitude of each block of differences -> the mean.
float quantise_scales(std::span<const float> scales, std::span<std::uint8_t> codes,
                      std::span<float> outer_scales);

void dequantise_scales(std::span<const std::uint8_t> codes, std::span<const float> outer_scales,
                       float mean, std::span<float> scales);
void dequantise_blocks(std::span<const std::uint8_t> codes, std::span<const float> scales,
                       std::span<float> values);

}  // namespace nf4

}  // namespace moesaic
