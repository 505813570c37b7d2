// StateDict: named tensors that a checkpoint saves and loads in place, on any layout.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "parallel/parameter_set.h"
#include "parallel/row_blocks.h"

namespace moesaic {

/// A view of live state: rows [offset, offset + tensor.size(0)) of a tensor of `global_shape`.
/// Dense entries are whole and equal on all ranks, expert entries are this rank's experts, equal
/// over expert_data; but what is spread is held by one rank alone, in whole digest blocks, and a
/// rank may have no rows of it (a tensor [0, ...]). All ranks have all entries.
struct StateEntry {
  std::string name;
  at::Tensor tensor;
  std::vector<std::int64_t> global_shape;
  std::int64_t offset = 0;
  Scope scope = Scope::kDense;
  bool exact = false;  // keeps its dtype in a file of a smaller one
  bool spread = false;
  QuantisedWeight quantised = {};  // then `tensor` has no values (Parameter::tensor)

  /// The rows of the global tensor that are here. A scalar is a tensor of one row.
  RowRange rows() const { return {offset, tensor.dim() == 0 ? 1 : tensor.size(0)}; }
  /// Error(kInternal) when those are not rows of the global tensor, or not whole digest blocks, or
  /// not all where they should be.
  void check_rows() const;
};

/// In checkpoint order, the same on all ranks but for the local tensors.
using StateDict = std::vector<StateEntry>;

/// The values of all parameters.
StateDict state_of(const ParameterSet& parameters);
/// As above, a quantised weight as the tensors that it is kept in, so that it moves with its
/// experts; names <parameter name>/<number>.
StateDict moving_state_of(const ParameterSet& parameters);

/// An entry shaped and placed like `parameter`, e.g. its first moment: name "<prefix>/<parameter
/// name>".
StateEntry entry_like(const Parameter& parameter, const std::string& prefix,
                      const at::Tensor& tensor);
/// The same of state that is spread (parallel/ownership.h): `tensor` has the rows `owned` of the
/// parameter's local ones, e.g. their first moment.
StateEntry spread_entry_like(const Parameter& parameter, const std::string& prefix,
                             const at::Tensor& tensor, const RowRange& owned);

}  // namespace moesaic
