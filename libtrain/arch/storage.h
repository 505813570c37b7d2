// How the values of a weight are kept, and in how many bytes.
#pragma once

#include <cstdint>
#include <string>

namespace moesaic::arch {

/// kMaster: in the type of the masters. The others are for frozen matrices, each alone, that of an
/// expert, too: kInt8 with a scale for each row, kNf4 in NF4 (parallel/quantise.h), kFileBlocks as
/// the blocks of the GGUF file that it comes from, which no recipe asks for.
enum class Storage { kMaster, kBfloat16, kInt8, kNf4, kFileBlocks };

/// master | bfloat16 | int8 | nf4 | file
const char* name_of(Storage storage);
/// Of the first four. Error(kInternal) for another name.
Storage storage_named(const std::string& name);

/// Kept as codes, of which a product makes numbers.
constexpr bool is_quantised(Storage storage) {
  return storage == Storage::kInt8 || storage == Storage::kNf4 || storage == Storage::kFileBlocks;
}

/// The parts of a matrix in NF4: codes, two a byte; for each block of them a scale of 8 bits; for
/// each block of scales a float32; and the mean of the scales in float32.
struct Nf4Layout {
  static constexpr std::int64_t kBlock = 64;
  static constexpr std::int64_t kOuterBlock = 256;

  std::int64_t values = 0;

  std::int64_t code_bytes() const { return (values + 1) / 2; }
  std::int64_t blocks() const { return (values + kBlock - 1) / kBlock; }
  std::int64_t outer_blocks() const { return (blocks() + kOuterBlock - 1) / kOuterBlock; }
  std::int64_t bytes() const { return code_bytes() + blocks() + 4 * (outer_blocks() + 1); }
};

/// Bytes of a matrix [rows, columns]; a value in the type of the masters has `master_bytes`. Not of
/// kFileBlocks, of which the file decides.
std::int64_t matrix_bytes(Storage storage, std::int64_t rows, std::int64_t columns,
                          std::int64_t master_bytes);

}  // namespace moesaic::arch
