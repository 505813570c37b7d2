// Makes the parameters of a model from arch's table: shape, scope, initial values, this rank's
// slice.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "arch/arch.h"
#include "core/random.h"
#include "parallel/parameter_set.h"
#include "parallel/plan.h"

namespace moesaic {

class ParameterFactory {
 public:
  struct Options {
    std::uint64_t seed = 0;
    at::ScalarType dtype = at::kFloat;  // of the masters
    /// Parameters of another dtype, by name: weights that stay as their file has them (inference).
    std::map<std::string, at::ScalarType> dtypes;
    bool initialise = true;  // false: left undefined, the values come from a file
    at::Device device = at::kCPU;
    int rank = 0;
    Plan plan;
  };

  ParameterFactory(const arch::Options& arch, const Options& options);

  /// The parameter `name` of the table, initialised: normal(0, initializer_range) keyed by global
  /// name and element, so that every layout makes the same model. Each is made once.
  Parameter make(const std::string& name);
  /// As above; nothing when the table has no such parameter (a bias, a tied head).
  std::optional<Parameter> make_if_present(const std::string& name);

  /// Every parameter of the table has been made: Error(kInternal) otherwise.
  void check_complete() const;

 private:
  void initialise(Parameter& parameter, const arch::ParameterInfo& info,
                  std::int64_t first_element) const;

  arch::Options arch_;
  Options options_;
  std::map<std::string, arch::ParameterInfo> table_;  // those not made yet
};

}  // namespace moesaic
