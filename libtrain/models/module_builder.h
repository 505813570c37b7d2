// ModuleBuilder: the parameters and linear maps of a model, as its modules ask for them by name.
#pragma once

#include <optional>
#include <set>
#include <string>

#include "nn/linear.h"
#include "parallel/parameter_set.h"

namespace moesaic {

class ModuleBuilder {
 public:
  /// `adapters` may be nullptr: then no linear map has one. Both must outlive the builder, the
  /// parameters also what is built.
  ModuleBuilder(const ParameterSet& parameters, const AdapterFactory* adapters)
      : parameters_(parameters), adapters_(adapters) {}

  /// Error(kInternal) when the set has no such parameter.
  const Parameter& parameter(const std::string& name);
  /// nullptr when the set has no such parameter (a bias, a tied head).
  const Parameter* parameter_if_present(const std::string& name);

  /// The map `name`.weight, with `name`.bias where there is one.
  Linear linear(const std::string& name);
  std::optional<Linear> linear_if_present(const std::string& name);
  /// The maps `name`.weight of this rank's experts.
  GroupedLinear grouped_linear(const std::string& name);

  /// Every parameter of the model's own is used: Error(kInternal) otherwise.
  void check_complete() const;

 private:
  const ParameterSet& parameters_;
  const AdapterFactory* adapters_;
  std::set<std::string> used_;
};

}  // namespace moesaic
