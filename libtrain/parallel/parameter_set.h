// ParameterSet: the ordered list of all parameters, the one truth for sync, global norm,
// checkpoint, and later noise, Fisher and federation. It is the same on all ranks but for the local
// tensors.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "arch/arch.h"

namespace moesaic {

using arch::Scope;

struct Parameter {
  std::string name;                        // global, as in the checkpoint
  at::Tensor tensor;                       // local values: master dtype
  std::vector<std::int64_t> global_shape;  // kExpert: first dimension = number of experts
  std::int64_t offset = 0;                 // first row of the first dimension held here (kExpert)
  Scope scope = Scope::kDense;
  bool trainable = true;
  bool decay = true;        // weight decay applies
  std::int64_t index = -1;  // position in the ParameterSet

  std::int64_t numel() const { return tensor.numel(); }
  std::int64_t global_numel() const;
};

class ParameterSet {
 public:
  /// Appends a copy (the tensor is shared) and gives the parameter its index. Refuses a name that
  /// is there already and a local tensor that is not its part of the global shape.
  void add(Parameter& parameter);

  std::size_t size() const { return parameters_.size(); }
  const Parameter& operator[](std::size_t i) const { return parameters_[i]; }
  auto begin() const { return parameters_.begin(); }
  auto end() const { return parameters_.end(); }

  const Parameter* find(const std::string& name) const;  // nullptr when absent
  std::int64_t global_count() const;  // values over all parameters, each counted once

 private:
  std::vector<Parameter> parameters_;
  std::unordered_map<std::string, std::size_t> index_of_;
};

}  // namespace moesaic
