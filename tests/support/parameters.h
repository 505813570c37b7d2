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
/// `values` [N, K] or [e, N, K] as codes.
inline QuantisedWeight quantised(arch::Storage storage, const at::Tensor& values,
                                 at::Device device = at::kCPU) {
  QuantisedWeight weight(storage, values.sizes().vec(), device);
  weight.fill([&](std::int64_t i, const at::Tensor& values_NK) {
    values_NK.copy_(values.dim() == 3 ? values[i] : values);
  });
  return weight;
}
/// A frozen weight that is kept so.
inline Parameter quantised_of(const std::string& name, arch::Storage storage,
                              const at::Tensor& values, at::Device device = at::kCPU) {
  Parameter parameter = parameter_of(name, values.to(at::kMeta));
  parameter.trainable = false;
  parameter.storage = storage;
  parameter.scope = values.dim() == 3 ? Scope::kExpert : Scope::kDense;
  parameter.quantised = quantised(storage, values, device);
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
