// What a dataset is: name, shape, type and chunks; and the checks of those that a file claims to
// hold.
#pragma once

#include <c10/core/ScalarType.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "store/hdf5_id.h"

namespace moesaic {

/// "float64", "float32", "float16", "bfloat16" or "int64": the types that a checkpoint can hold.
std::string dtype_name(at::ScalarType dtype);
std::optional<at::ScalarType> dtype_named(const std::string& name);
bool is_stored_dtype(at::ScalarType dtype);

struct Hdf5Spec {
  std::string name;                 // '/' makes groups
  std::vector<std::int64_t> shape;  // 1 to 8 dimensions, all positive
  at::ScalarType dtype = at::kFloat;
  std::vector<std::int64_t> chunk;  // as many dimensions as `shape`

  std::int64_t row_values() const;  // of one index of the first dimension
  std::int64_t row_bytes() const;
};

inline constexpr std::size_t kMaxHdf5Name = 1024;  // of a whole path inside a file

/// The HDF5 type of `dtype`, the same in the file and in memory: HDF5 converts nothing.
Hdf5Id hdf5_type(at::ScalarType dtype);

/// Reads and checks everything about an opened dataset but its values: shape, type, storage,
/// filters.
Hdf5Spec read_spec(std::int64_t dataset, const std::string& name, const std::string& where);

/// Refuses a shape that the file cannot hold, before anybody allocates it.
void check_stored_size(std::int64_t dataset, const Hdf5Spec& spec, const std::string& path,
                       const std::string& where);

/// All datasets of an opened file; refuses links, other objects, and too many or too deep.
std::vector<std::string> list_datasets(std::int64_t file, const std::string& path);

}  // namespace moesaic
