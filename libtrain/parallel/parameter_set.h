// ParameterSet: the parameters of a model, made from its table and owned here, the one truth for
// modules, sync, global norm, checkpoint, and later noise, Fisher and federation. It is the same on
// all ranks but for the local tensors.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "arch/parameter_table.h"
#include "parallel/plan.h"
#include "parallel/quantised_weight.h"

namespace moesaic {

using arch::Scope;

/// A row of the table, whose `shape` is the global one, with the values that this rank holds.
struct Parameter : arch::ParameterInfo {
  /// Local values: dense the whole, expert some rows of the first dimension. Of a quantised weight
  /// shape and type alone, on the meta device.
  at::Tensor tensor;
  std::int64_t offset = 0;         // first row held here (kExpert)
  std::int64_t index = -1;         // position in the ParameterSet
  QuantisedWeight quantised = {};  // where `storage` is one of those

  std::int64_t local_numel() const { return tensor.numel(); }
  /// The numbers of matrix i of a weight [N, K] (i = 0) or [e, N, K], quantised or not: a view
  /// where they are kept in `dtype`.
  at::Tensor matrix(std::int64_t i, at::ScalarType dtype) const;
  /// The numbers of rows [first, first + count) of a weight [N, K] that is no codes but those of
  /// its file's blocks.
  at::Tensor rows(std::int64_t first, std::int64_t count, at::ScalarType dtype) const;
  std::int64_t matrices() const { return tensor.dim() == 3 ? tensor.size(0) : 1; }
};

class ParameterSet {
 public:
  struct Options {
    std::uint64_t seed = 0;             // of the initial values
    at::ScalarType dtype = at::kFloat;  // of the masters
    /// Parameters of another dtype, by name: masters that stay as their file has them (inference).
    std::map<std::string, at::ScalarType> dtypes = {};
    /// Matrices that stay in the blocks of their file, by name; without initial values.
    std::map<std::string, const GgufTensorType*> blocks = {};
    /// false: left undefined, the values come from a file; those of adapters never do.
    bool initialise = true;
    at::Device device = at::kCPU;
    int rank = 0;
    Plan plan = {};
  };

  /// The parameters of `table`, with initial values (parallel/initial_values.h): this rank's rows
  /// of the experts, all of the rest. Local.
  ParameterSet(const arch::ParameterTable& table, const Options& options);
  /// Parameters that have their values. Refuses two of one name, and a local tensor that is not a
  /// part of its global shape.
  explicit ParameterSet(std::vector<Parameter> parameters);

  /// Modules, sinks and optimizers refer to the parameters, which stay where they are.
  ParameterSet(ParameterSet&&) = default;
  ParameterSet(const ParameterSet&) = delete;

  std::size_t size() const { return parameters_.size(); }
  const Parameter& operator[](std::size_t i) const { return parameters_[i]; }
  auto begin() const { return parameters_.begin(); }
  auto end() const { return parameters_.end(); }

  const Parameter* find(const std::string& name) const;  // nullptr when absent
  std::int64_t global_count() const;  // values over all parameters, each counted once
  /// Dtype and device of the masters, and so of what is kept beside any parameter, also beside one
  /// that is itself kept in fewer bits.
  at::TensorOptions master_options() const;

 private:
  void add(Parameter parameter);

  std::vector<Parameter> parameters_;
  std::unordered_map<std::string, std::size_t> index_of_;
};

}  // namespace moesaic
