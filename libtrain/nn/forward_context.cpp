#include "nn/forward_context.h"

#include "core/error.h"

namespace moesaic {

Precision Precision::named(const std::string& name) {
  if (name == "float64") return {at::kDouble, at::kDouble};
  if (name == "float32") return {at::kFloat, at::kFloat};
  if (name == "bfloat16") return {at::kFloat, at::kBFloat16};
  throw Error(ErrorKind::kRecipe,
              format("train.precision: '{}' is none of float64, float32, bfloat16", name));
}

at::Tensor WeightCopies::get(const Parameter& parameter, at::ScalarType dtype) {
  if (parameter.quantised.defined()) {
    MOESAIC_ASSERT(parameter.scope == Scope::kDense);
    return parameter.quantised.matrix(0, dtype);
  }
  if (parameter.tensor.scalar_type() == dtype) return parameter.tensor;
  if (!keeps(parameter)) return parameter.tensor.to(dtype);
  const auto index = static_cast<std::size_t>(parameter.index);
  if (copies_.size() <= index) copies_.resize(index + 1);
  at::Tensor& copy = copies_[index];
  if (!copy.defined() || copy.scalar_type() != dtype) copy = parameter.tensor.to(dtype);
  return copy;
}

}  // namespace moesaic
