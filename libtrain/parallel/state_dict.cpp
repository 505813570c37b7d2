#include "parallel/state_dict.h"

#include "core/error.h"

namespace moesaic {

void StateEntry::check_rows() const {
  const std::int64_t rows_there = global_shape.empty() ? 1 : global_shape[0];
  const RowRange here = rows();
  const bool same_width =
      tensor.dim() == static_cast<std::int64_t>(global_shape.size()) &&
      (tensor.dim() == 0 || tensor.sizes().slice(1) == at::IntArrayRef(global_shape).slice(1));
  const bool may_be_part = spread || scope == Scope::kExpert;
  MOESAIC_CHECK(same_width && RowBlocks::of(scope, rows_there).are_whole(here) &&
                    (may_be_part || here.count == rows_there),
                ErrorKind::kInternal, "'{}': [{}] from row {} on is not {} of [{}]", name,
                join(tensor.sizes().vec(), ", "), here.first,
                may_be_part ? "whole digest blocks" : "all", join(global_shape, ", "));
}

StateDict state_of(const ParameterSet& parameters) {
  StateDict state;
  for (const Parameter& parameter : parameters) {
    state.push_back({.name = parameter.name,
                     .tensor = parameter.tensor,
                     .global_shape = parameter.shape,
                     .offset = parameter.offset,
                     .scope = parameter.scope,
                     .exact = parameter.correction_bias,
                     .quantised = parameter.quantised});
  }
  return state;
}

StateDict moving_state_of(const ParameterSet& parameters) {
  StateDict state;
  for (StateEntry& entry : state_of(parameters)) {
    const std::vector<at::Tensor>& parts = entry.quantised.parts();
    if (parts.empty()) {
      state.push_back(std::move(entry));
      continue;
    }
    for (std::size_t k = 0; k < parts.size(); ++k) {
      std::vector<std::int64_t> shape = parts[k].sizes().vec();
      if (entry.scope == Scope::kExpert) shape[0] = entry.global_shape[0];
      state.push_back({.name = format("{}/{}", entry.name, k),
                       .tensor = parts[k],
                       .global_shape = std::move(shape),
                       .offset = entry.offset,
                       .scope = entry.scope});
    }
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

StateEntry spread_entry_like(const Parameter& parameter, const std::string& prefix,
                             const at::Tensor& tensor, const RowRange& owned) {
  StateEntry entry = entry_like(parameter, prefix, tensor);
  entry.offset += owned.first;
  entry.spread = true;
  MOESAIC_ASSERT(entry.rows().count == owned.count);
  return entry;
}

}  // namespace moesaic
