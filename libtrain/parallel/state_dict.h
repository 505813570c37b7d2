// StateDict: named tensors that a checkpoint saves and loads in place, on any layout.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "parallel/parameter_set.h"

namespace moesaic {

/// A view of live state. Dense entries are equal on all ranks; expert entries are this rank's rows
/// [offset, offset + tensor.size(0)) of a tensor of `global_shape`.
struct StateEntry {
  std::string name;
  at::Tensor tensor;
  std::vector<std::int64_t> global_shape;
  std::int64_t offset = 0;
  Scope scope = Scope::kDense;
  bool exact = false;  // keeps its dtype in a file of a smaller one
};

/// In checkpoint order, the same on all ranks but for the local tensors.
using StateDict = std::vector<StateEntry>;

/// The values of all parameters.
StateDict state_of(const ParameterSet& parameters);

/// An entry shaped and placed like `parameter`, e.g. its first moment: name "<prefix>/<parameter
/// name>".
StateEntry entry_like(const Parameter& parameter, const std::string& prefix,
                      const at::Tensor& tensor);

}  // namespace moesaic
