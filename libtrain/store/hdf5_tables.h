// A small HDF5 file of results: tables of float64 values and attributes of the file, for whoever
// reads them with other tools.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace moesaic {

struct Hdf5Table {
  std::string name;
  std::vector<std::int64_t> shape;  // 1 or 2 dimensions, all positive
  std::vector<double> values;       // row after row
};

/// A scalar text or number, or a list of texts.
using Hdf5Attribute = std::variant<std::string, double, std::vector<std::string>>;

/// Writes the file whole, and then gives it its name. By one process; no other thread of it may use
/// HDF5 meanwhile. Error(kCheckpoint) when it cannot be written.
void write_hdf5_tables(const std::string& path, const std::vector<Hdf5Table>& tables,
                       const std::vector<std::pair<std::string, Hdf5Attribute>>& attributes);

}  // namespace moesaic
