#include "parallel/parameter_set.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "core/error.h"
#include "parallel/initial_values.h"

namespace moesaic {
namespace {

/// Dense: the whole; expert: rows [offset, offset + rows) of the first dimension.
bool is_part_of_global(const Parameter& parameter) {
  const auto local = parameter.tensor.sizes();
  const auto& global = parameter.shape;
  if (parameter.scope == Scope::kDense) return parameter.offset == 0 && local == global;
  return !global.empty() && local.size() == global.size() &&
         local.slice(1) == c10::IntArrayRef(global).slice(1) && parameter.offset >= 0 &&
         parameter.offset + local[0] <= global[0];
}

at::ScalarType dtype_of(const arch::ParameterInfo& info, const ParameterSet::Options& options) {
  if (info.storage == arch::Storage::kBfloat16) return at::kBFloat16;
  const auto other = options.dtypes.find(info.name);
  return other == options.dtypes.end() ? options.dtype : other->second;
}

// Initial values are drawn in the type of the masters.
at::Tensor make_values(const Parameter& parameter, const std::vector<std::int64_t>& local,
                       const ParameterSet::Options& options) {
  const at::ScalarType dtype = dtype_of(parameter, options);
  if (!options.initialise && !parameter.adapter)
    return at::empty(local, at::TensorOptions(dtype)).to(options.device);
  at::Tensor values = at::empty(local, options.dtype);
  fill_initial_values(parameter, parameter.offset, options.seed, values);
  return values.to(at::TensorOptions(dtype).device(options.device));
}

void make_quantised(const std::vector<std::int64_t>& local, const ParameterSet::Options& options,
                    Parameter& parameter) {
  parameter.tensor = at::empty(local, at::TensorOptions(options.dtype).device(at::kMeta));
  parameter.quantised = QuantisedWeight(parameter.storage, local, options.device);
  if (!options.initialise) return;
  parameter.quantised.fill([&](std::int64_t i, at::Tensor values_NK) {
    fill_initial_values(parameter, parameter.offset + i, options.seed, values_NK);
  });
}

void keep_blocks(const GgufTensorType& type, const std::vector<std::int64_t>& local,
                 at::ScalarType master, Parameter& parameter) {
  parameter.storage = arch::Storage::kFileBlocks;
  parameter.trainable = false;
  parameter.tensor = at::empty(local, at::TensorOptions(master).device(at::kMeta));
  parameter.quantised = QuantisedWeight(type, local);
}

Parameter make(const arch::ParameterInfo& info, const ParameterSet::Options& options) {
  Parameter parameter{info};
  std::vector<std::int64_t> local = info.shape;
  if (info.scope == Scope::kExpert) {
    local[0] = options.plan.local_experts(info.shape[0]);
    parameter.offset = options.plan.first_expert(options.rank, info.shape[0]);
  }
  const auto blocks = options.blocks.find(info.name);
  if (blocks != options.blocks.end())
    keep_blocks(*blocks->second, local, options.dtype, parameter);
  else if (arch::is_quantised(info.storage))
    make_quantised(local, options, parameter);
  else
    parameter.tensor = make_values(parameter, local, options);
  return parameter;
}

}  // namespace

at::Tensor Parameter::matrix(std::int64_t i, at::ScalarType dtype) const {
  if (quantised.defined()) return quantised.matrix(i, dtype);
  return (tensor.dim() == 3 ? tensor.select(0, i) : tensor).to(dtype);
}

at::Tensor Parameter::rows(std::int64_t first, std::int64_t count, at::ScalarType dtype) const {
  if (quantised.defined())
    return quantised.numbers(quantised.rows_in_blocks(0).narrow(0, first, count), dtype);
  return tensor.narrow(0, first, count).to(dtype);
}

ParameterSet::ParameterSet(const arch::ParameterTable& table, const Options& options) {
  parameters_.reserve(table.size());
  for (const arch::ParameterInfo& info : table) add(make(info, options));
}

ParameterSet::ParameterSet(std::vector<Parameter> parameters) {
  parameters_.reserve(parameters.size());
  for (Parameter& parameter : parameters) add(std::move(parameter));
}

void ParameterSet::add(Parameter parameter) {
  MOESAIC_CHECK(
      parameter.tensor.defined() && is_part_of_global(parameter), ErrorKind::kInternal,
      "parameter {}: the local tensor at offset {} is not a part of the global shape [{}]",
      parameter.name, parameter.offset, join(parameter.shape, ", "));
  const bool added = index_of_.emplace(parameter.name, parameters_.size()).second;
  MOESAIC_CHECK(added, ErrorKind::kInternal, "two parameters have the name {}", parameter.name);
  parameter.index = std::ssize(parameters_);
  parameters_.push_back(std::move(parameter));
}

const Parameter* ParameterSet::find(const std::string& name) const {
  const auto found = index_of_.find(name);
  return found == index_of_.end() ? nullptr : &parameters_[found->second];
}

at::TensorOptions ParameterSet::master_options() const {
  const auto master = std::find_if(begin(), end(), [](const Parameter& parameter) {
    return parameter.storage == arch::Storage::kMaster;
  });
  MOESAIC_ASSERT(master != end());  // norms are
  return master->tensor.options().requires_grad(false);
}

std::int64_t ParameterSet::global_count() const {
  return std::accumulate(
      begin(), end(), std::int64_t{0},
      [](std::int64_t sum, const Parameter& parameter) { return sum + parameter.numel(); });
}

}  // namespace moesaic
