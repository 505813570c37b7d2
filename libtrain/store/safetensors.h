// Files of safetensors: reading slices of tensors, and writing files that are larger than memory.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/fs.h"
#include "store/safetensors_header.h"

namespace moesaic {

/// The tensor type of a dtype that weights can have: F64, F32, F16, BF16; nullopt for the others.
std::optional<at::ScalarType> weight_dtype(const SafetensorsDtype& dtype);

/// One file, memory-mapped. Pages are given back after every read, so that a process that reads
/// much of a file does not grow with it.
class SafetensorsFile {
 public:
  /// Error(kCheckpoint) when it cannot be read or its header is wrong.
  explicit SafetensorsFile(const std::string& path);

  /// Whether the name of a file ends in .safetensors, or it begins with the length of a header in
  /// it.
  static bool is_at(const std::string& path);

  const std::string& path() const { return path_; }
  const SafetensorsHeader& header() const { return header_; }

  /// Fills the contiguous `into` with the values from number `first` on, counted over the whole
  /// tensor, converted to its type. The dtype of `tensor` must be one of weights.
  void read(const SafetensorsTensor& tensor, std::int64_t first, const at::Tensor& into) const;

  /// As they lie in the file, of any dtype.
  std::string_view bytes(const SafetensorsTensor& tensor) const {
    return file_.bytes().substr(tensor.begin, tensor.end - tensor.begin);
  }

  /// XXH3-128 of the bytes of the tensor.
  std::string digest(const SafetensorsTensor& tensor) const;

 private:
  std::string path_;
  MappedFile file_;
  SafetensorsHeader header_;
};

/// One tensor to write.
struct SafetensorsSpec {
  std::string name;
  at::ScalarType dtype = at::kFloat;
  std::vector<std::int64_t> shape;

  std::int64_t numel() const;
  std::uint64_t bytes() const;
};

/// Writes one file front to back; it appears under its name when it is finished.
class SafetensorsWriter {
 public:
  /// The tensors as readers like them: wide types first, then by name. All writing is in this
  /// order.
  static std::vector<SafetensorsSpec> in_order(std::vector<SafetensorsSpec> tensors);

  /// Sorts the tensors by in_order().
  SafetensorsWriter(const std::string& path, std::vector<SafetensorsSpec> tensors);

  /// In the order in which their values are to come.
  const std::vector<SafetensorsSpec>& tensors() const { return tensors_; }

  /// The next values, of no more than the current tensor; converted to its type.
  void write(const at::Tensor& values);
  /// When all values were written.
  void finish(Sync sync = Sync::kNow);

 private:
  NewFile file_;
  std::vector<SafetensorsSpec> tensors_;
  std::size_t current_ = 0;
  std::int64_t written_ = 0;  // values of the current tensor
};

}  // namespace moesaic
