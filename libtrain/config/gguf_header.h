// The header of a GGUF file (version 2 and 3): metadata by key, then the tensors, then their values
// from an aligned place on (ggml, docs/gguf.md). Nothing in it is trusted. No torch here.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/error.h"

namespace moesaic {

/// Types of tensors: values come in blocks. Those without a size are known by name only.
struct GgufTensorType {
  std::uint32_t number;
  const char* name;
  std::uint32_t values = 0;  // of a block
  std::uint32_t bytes = 0;
};

struct GgufTensor {
  std::string name;
  const GgufTensorType* type = nullptr;
  std::vector<std::int64_t> shape;  // slowest dimension first, unlike in the file
  std::uint64_t begin = 0;          // of its values, in bytes from the start of the file
  std::uint64_t end = 0;
};

/// Elements of one type, where they lie in the file.
struct GgufArray {
  std::uint32_t type = 0;
  std::uint64_t count = 0;
  std::string_view bytes;
};

using GgufValue = std::variant<bool, std::int64_t, double, std::string_view, GgufArray>;

struct GgufHeader {
  std::string where;  // for messages
  std::map<std::string, GgufValue, std::less<>> metadata;
  std::vector<GgufTensor> tensors;  // in the order of their values

  const GgufTensor* find(std::string_view name) const;  // nullptr: there is none
  /// The value of a key; nullopt where it is absent. Error(kCheckpoint) where it has another type.
  std::optional<std::int64_t> integer(std::string_view key) const;
  std::optional<double> number(std::string_view key) const;
  std::optional<bool> flag(std::string_view key) const;
  std::optional<std::string_view> text(std::string_view key) const;
  std::vector<std::string_view> texts(std::string_view key) const;  // {} where absent
  std::vector<std::int64_t> integers(std::string_view key) const;   // {} where absent
};

/// `file`: all of it; the header's texts point into it. Error(kCheckpoint) that names `where`, what
/// is wrong, and the tensor or key, also for a tensor of a type that is not supported.
GgufHeader read_gguf_header(std::string_view file, const std::string& where);

/// Whether `path` is a regular file that begins as GGUF files do, or whose name ends in .gguf.
bool is_gguf(const std::string& path);

}  // namespace moesaic
