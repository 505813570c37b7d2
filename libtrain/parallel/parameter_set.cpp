#include "parallel/parameter_set.h"

#include <c10/util/accumulate.h>

#include <numeric>

#include "core/error.h"

namespace moesaic {
namespace {

/// Dense: the whole; expert: rows [offset, offset + rows) of the first dimension.
bool is_part_of_global(const Parameter& parameter) {
  const auto local = parameter.tensor.sizes();
  const auto& global = parameter.global_shape;
  if (parameter.scope == Scope::kDense) return parameter.offset == 0 && local == global;
  return !global.empty() && local.size() == global.size() &&
         local.slice(1) == c10::IntArrayRef(global).slice(1) && parameter.offset >= 0 &&
         parameter.offset + local[0] <= global[0];
}

}  // namespace

std::int64_t Parameter::global_numel() const { return c10::multiply_integers(global_shape); }

void ParameterSet::add(Parameter& parameter) {
  MOESAIC_CHECK(
      parameter.tensor.defined() && is_part_of_global(parameter), ErrorKind::kInternal,
      "parameter {}: the local tensor at offset {} is not a part of the global shape [{}]",
      parameter.name, parameter.offset, join(parameter.global_shape, ", "));
  const bool added = index_of_.emplace(parameter.name, parameters_.size()).second;
  MOESAIC_CHECK(added, ErrorKind::kInternal, "two parameters have the name {}", parameter.name);
  parameter.index = static_cast<std::int64_t>(parameters_.size());
  parameters_.push_back(parameter);
}

const Parameter* ParameterSet::find(const std::string& name) const {
  const auto found = index_of_.find(name);
  return found == index_of_.end() ? nullptr : &parameters_[found->second];
}

std::int64_t ParameterSet::global_count() const {
  return std::accumulate(
      begin(), end(), std::int64_t{0},
      [](std::int64_t sum, const Parameter& parameter) { return sum + parameter.global_numel(); });
}

}  // namespace moesaic
