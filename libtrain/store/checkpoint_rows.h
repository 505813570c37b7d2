// The weights in a checkpoint folder by name; where there are masters, theirs.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "store/checkpoint.h"
#include "store/differences.h"
#include "store/hdf5.h"

namespace moesaic {

class CheckpointRows {
 public:
  /// By this process alone, of a checkpoint whose files are whole.
  explicit CheckpointRows(const CheckpointInfo& info);

  /// Names what is not of `table`, or not as it says.
  void compare(const std::vector<arch::ParameterInfo>& table, Differences& differences) const;
  /// As model.h5 has it.
  at::ScalarType dtype(const std::string& parameter) const;
  std::vector<std::int64_t> shape(const std::string& parameter) const;
  /// Rows [first, first + count).
  at::Tensor rows(const std::string& parameter, std::int64_t first, std::int64_t count) const;

 private:
  Hdf5File model_;
  std::set<std::string> masters_;  // parameters that have one in state.h5
  std::optional<Hdf5File> state_;
};

}  // namespace moesaic
