// The header of a safetensors file: 8 bytes of length, then JSON {name: {dtype, shape,
// data_offsets}}, then the values of all tensors without a gap. Nothing in it is trusted. No torch
// here.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"

namespace moesaic {

/// The types of the format, of which F64, F32, F16 and BF16 can be weights.
struct SafetensorsDtype {
  const char* name;
  std::uint64_t bits;
};

/// nullptr for an unknown name. Pointers to the same type are equal.
const SafetensorsDtype* find_safetensors_dtype(std::string_view name);

/// Printable ASCII without spaces, 1 to 1,024 bytes.
bool is_weight_name(std::string_view name);

struct SafetensorsTensor {
  std::string name;  // is_weight_name()
  const SafetensorsDtype* dtype = nullptr;
  std::vector<std::int64_t> shape;  // up to 8 dimensions; {} is a scalar
  std::uint64_t begin = 0;          // of its values, in bytes from the start of the file
  std::uint64_t end = 0;
};

struct SafetensorsHeader {
  std::vector<SafetensorsTensor> tensors;       // in the order of their values
  std::map<std::string, std::string> metadata;  // __metadata__
};

inline constexpr std::uint64_t kMaxSafetensorsHeader = 50'000'000;  // bytes
inline constexpr std::size_t kMaxSafetensorsTensors = 250'000;      // in one file

/// Reads the header of a file of `file_bytes` bytes, of which `beginning` holds the first ones, at
/// least the whole header where there are so many. Checks that the values of the tensors, of the
/// sizes that types and shapes ask for, fill the rest of the file without overlap or hole.
/// Error(kCheckpoint) that names `where`, the tensor, and what is wrong.
SafetensorsHeader read_safetensors_header(std::string_view beginning, std::uint64_t file_bytes,
                                          const std::string& where);

}  // namespace moesaic
