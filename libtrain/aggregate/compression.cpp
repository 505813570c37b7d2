#include "aggregate/compression.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

#include "core/error.h"

namespace moesaic::aggregate {
namespace {

constexpr std::size_t kBlock = 256;  // values of int8 with one scale

using Bytes = std::vector<std::uint8_t>;

void put_bytes(Bytes& bytes, std::uint64_t word, int count) {
  for (int i = 0; i < count; ++i) bytes.push_back(static_cast<std::uint8_t>(word >> (8 * i)));
}

std::uint64_t get_bytes(std::span<const std::uint8_t> bytes, std::size_t at, std::size_t count) {
  std::uint64_t word = 0;
  for (std::size_t i = 0; i < count; ++i) word |= std::uint64_t{bytes[at + i]} << (8 * i);
  return word;
}

std::uint32_t float_bits(double value) { return std::bit_cast<std::uint32_t>(float(value)); }
double of_float_bits(std::uint64_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits));
}

std::uint32_t bfloat16_bits(double value) {
  const std::uint32_t bits = float_bits(value);
  if (std::isnan(value)) return (bits >> 16) | 0x40U;
  return (bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16;
}

void require_finite(std::span<const double> values, const std::string& type) {
  const bool finite =
      std::all_of(values.begin(), values.end(), [](double v) { return std::isfinite(float(v)); });
  MOESAIC_CHECK(finite, ErrorKind::kData,
                "a change with values that are not finite cannot be compressed by {}", type);
}

Bytes int8_bytes(std::span<const double> values) {
  Bytes bytes;
  for (std::size_t first = 0; first < values.size(); first += kBlock) {
    const auto block = values.subspan(first, std::min(kBlock, values.size() - first));
    double largest = 0;
    for (const double value : block) largest = std::max(largest, std::abs(value));
    const double scale = of_float_bits(float_bits(largest / 127));
    put_bytes(bytes, float_bits(scale), 4);
    for (const double value : block) {
      const double q = scale > 0 ? std::nearbyint(value / scale) : 0;
      const auto code = static_cast<std::int8_t>(std::clamp(q, -127.0, 127.0));
      bytes.push_back(static_cast<std::uint8_t>(code));
    }
  }
  return bytes;
}

std::size_t kept_of(const Compression& way, std::size_t size) {
  const double kept = std::ceil(way.share * static_cast<double>(size));
  return std::min(size, static_cast<std::size_t>(kept));
}

// Indices need 32 bits: larger parameters are sent in parts.
Bytes top_k_bytes(const Compression& way, std::span<const double> values) {
  MOESAIC_CHECK(values.size() < (std::uint64_t{1} << 32), ErrorKind::kData,
                "{} values in one part of a change; at most 2^32 - 1", values.size());
  std::vector<std::uint32_t> order(values.size());
  std::iota(order.begin(), order.end(), 0U);
  const auto end = order.begin() + static_cast<std::ptrdiff_t>(kept_of(way, values.size()));
  std::partial_sort(order.begin(), end, order.end(), [&](std::uint32_t a, std::uint32_t b) {
    const double x = std::abs(values[a]), y = std::abs(values[b]);
    return x != y ? x > y : a < b;
  });
  std::sort(order.begin(), end);
  Bytes bytes;
  for (auto index = order.begin(); index != end; ++index) {
    put_bytes(bytes, *index, 4);
    put_bytes(bytes, float_bits(values[*index]), 4);
  }
  return bytes;
}

std::vector<double> of_top_k(std::span<const std::uint8_t> bytes, std::size_t size) {
  std::vector<double> values(size, 0.0);
  std::size_t next = 0;  // indices rise
  for (std::size_t at = 0; at < bytes.size(); at += 8) {
    const std::size_t index = get_bytes(bytes, at, 4);
    MOESAIC_CHECK(index >= next && index < size, ErrorKind::kData,
                  "index {} in a change of {} values is out of range or out of order", index, size);
    values[index] = of_float_bits(get_bytes(bytes, at + 4, 4));
    next = index + 1;
  }
  return values;
}

std::vector<double> of_int8(std::span<const std::uint8_t> bytes, std::size_t size) {
  std::vector<double> values;
  std::size_t at = 0;
  double scale = 0;
  for (std::size_t i = 0; i < size; ++i) {
    if (i % kBlock == 0) scale = of_float_bits(get_bytes(bytes, at, 4)), at += 4;
    values.push_back(scale * static_cast<std::int8_t>(bytes[at++]));
  }
  return values;
}

}  // namespace

std::size_t compressed_size(const Compression& way, std::size_t size) {
  if (way.type == "float64") return 8 * size;
  if (way.type == "bfloat16") return 2 * size;
  if (way.type == "int8") return size + 4 * ((size + kBlock - 1) / kBlock);
  return way.type == "top_k" ? 8 * kept_of(way, size) : 4 * size;
}

std::vector<std::uint8_t> compressed(const Compression& way, std::span<const double> values) {
  if (way.type == "int8" || way.type == "top_k") require_finite(values, way.type);
  if (way.type == "int8") return int8_bytes(values);
  if (way.type == "top_k") return top_k_bytes(way, values);
  Bytes bytes;
  bytes.reserve(compressed_size(way, values.size()));
  for (const double value : values) {
    if (way.type == "float64") put_bytes(bytes, std::bit_cast<std::uint64_t>(value), 8);
    if (way.type == "bfloat16") put_bytes(bytes, bfloat16_bits(value), 2);
    if (way.type == "none") put_bytes(bytes, float_bits(value), 4);
  }
  return bytes;
}

std::vector<double> decompressed(const Compression& way, std::span<const std::uint8_t> bytes,
                                 std::size_t size) {
  MOESAIC_CHECK(bytes.size() == compressed_size(way, size), ErrorKind::kData,
                "{} bytes for {} values compressed by {}; they have {}", bytes.size(), size,
                way.type, compressed_size(way, size));
  if (way.type == "int8") return of_int8(bytes, size);
  if (way.type == "top_k") return of_top_k(bytes, size);
  std::vector<double> values;
  values.reserve(size);
  for (std::size_t i = 0; i < size; ++i) {
    if (way.type == "float64") values.push_back(std::bit_cast<double>(get_bytes(bytes, 8 * i, 8)));
    if (way.type == "bfloat16") values.push_back(of_float_bits(get_bytes(bytes, 2 * i, 2) << 16));
    if (way.type == "none") values.push_back(of_float_bits(get_bytes(bytes, 4 * i, 4)));
  }
  return values;
}

std::vector<std::uint8_t> compressed_with_feedback(const Compression& way,
                                                   std::span<const double> values,
                                                   std::vector<double>& left_over) {
  left_over.resize(values.size(), 0.0);
  for (std::size_t i = 0; i < values.size(); ++i) left_over[i] += values[i];
  std::vector<std::uint8_t> bytes = compressed(way, left_over);
  const std::vector<double> through = decompressed(way, bytes, values.size());
  for (std::size_t i = 0; i < values.size(); ++i) left_over[i] -= through[i];
  return bytes;
}

}  // namespace moesaic::aggregate
