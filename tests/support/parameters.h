// Parameters with values, for sets that no table describes.
#pragma once

#include <string>

#include "parallel/parameter_set.h"

namespace moesaic::test {

/// A dense parameter that holds `value`.
inline Parameter parameter_of(const std::string& name, const at::Tensor& value) {
  Parameter parameter;
  parameter.name = name;
  parameter.shape = value.sizes().vec();
  parameter.tensor = value;
  return parameter;
}
/// Rows of an expert parameter, from `offset` on of `experts`.
inline Parameter expert_of(const std::string& name, const at::Tensor& rows, std::int64_t offset,
                           std::int64_t experts) {
  Parameter parameter = parameter_of(name, rows);
  parameter.shape[0] = experts;
  parameter.offset = offset;
  parameter.scope = Scope::kExpert;
  return parameter;
}

}  // namespace moesaic::test
