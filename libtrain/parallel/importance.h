// Importance: how much each value of the parameters matters for what was learned, and what it was
// then. What the Fisher information is summed into, files of importances hold and penalties use.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace moesaic {

/// Of one parameter, both shaped like Parameter::tensor, in the master dtype: of experts, this
/// rank's ones.
struct ParameterImportance {
  at::Tensor fisher;  // >= 0; not defined: nothing is known of the parameter
  at::Tensor anchor;  // not defined: the parameter's values as they are
};

/// By position in the ParameterSet.
using Importance = std::vector<ParameterImportance>;

}  // namespace moesaic
