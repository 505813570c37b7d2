#include "parallel/state_dict.h"

namespace moesaic {

StateDict state_of(const ParameterSet& parameters) {
  StateDict state;
  for (const Parameter& parameter : parameters) {
    state.push_back({.name = parameter.name,
                     .tensor = parameter.tensor,
                     .global_shape = parameter.shape,
                     .offset = parameter.offset,
                     .scope = parameter.scope,
                     .exact = parameter.correction_bias});
  }
  return state;
}

StateEntry entry_like(const Parameter& parameter, const std::string& prefix,
                      const at::Tensor& tensor) {
  return {.name = prefix + "/" + parameter.name,
          .tensor = tensor,
          .global_shape = parameter.shape,
          .offset = parameter.offset,
          .scope = parameter.scope};
}

}  // namespace moesaic
