#include "models/module_builder.h"

#include "core/error.h"

namespace moesaic {

const Parameter& ModuleBuilder::parameter(const std::string& name) {
  const Parameter* found = parameter_if_present(name);
  if (found == nullptr)
    throw Error(ErrorKind::kInternal, format("parameter '{}' is not in the table", name));
  return *found;
}

const Parameter* ModuleBuilder::parameter_if_present(const std::string& name) {
  const Parameter* found = parameters_.find(name);
  if (found != nullptr) used_.insert(name);
  return found;
}

Linear ModuleBuilder::linear(const std::string& name) {
  const Parameter& weight = parameter(name + ".weight");
  return Linear(weight, parameter_if_present(name + ".bias"),
                adapters_ != nullptr ? adapters_->beside(weight) : nullptr);
}

std::optional<Linear> ModuleBuilder::linear_if_present(const std::string& name) {
  if (parameters_.find(name + ".weight") == nullptr) return std::nullopt;
  return linear(name);
}

GroupedLinear ModuleBuilder::grouped_linear(const std::string& name) {
  const Parameter& weight = parameter(name + ".weight");
  return GroupedLinear(weight, adapters_ != nullptr ? adapters_->beside_experts(weight) : nullptr);
}

void ModuleBuilder::check_complete() const {
  for (const Parameter& parameter : parameters_) {
    // Those of adapters are in the hands of their factory.
    if (used_.contains(parameter.name) || parameter.adapter) continue;
    throw Error(ErrorKind::kInternal,
                format("the model does not use the parameter '{}'", parameter.name));
  }
}

}  // namespace moesaic
