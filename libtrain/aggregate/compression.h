// Smaller changes for the wire. The sender keeps what was lost and adds it to the next round's
// change (error feedback, arXiv 1901.09847), so that nothing is lost in the long run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace moesaic::aggregate {

/// none: float32, and float64 for models of float64; bfloat16: rounded to the nearest, ties to
/// even; int8: q x scale with a scale for every block of 256 values, largest magnitude / 127;
/// top_k: the ceil(share n) values of largest magnitude (of equal ones the first), each with its
/// index, as float32.
struct Compression {
  std::string type = "none";
  double share = 0.01;  // top_k
};

/// Bytes of a parameter's change, little endian. Values that are not finite stay so in none,
/// float64 and bfloat16; Error(kData) in int8 and top_k.
std::vector<std::uint8_t> compressed(const Compression& way, std::span<const double> values);

/// How many bytes a change of so many values is compressed to.
std::size_t compressed_size(const Compression& way, std::size_t size);

/// `size` values again. Error(kData) when the bytes are not those of so many.
std::vector<double> decompressed(const Compression& way, std::span<const std::uint8_t> bytes,
                                 std::size_t size);

/// One round with error feedback: `values` + `left_over` is compressed; `left_over`, as long as
/// values or empty at first, becomes what did not get through.
std::vector<std::uint8_t> compressed_with_feedback(const Compression& way,
                                                   std::span<const double> values,
                                                   std::vector<double>& left_over);

}  // namespace moesaic::aggregate
