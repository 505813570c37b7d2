#include "models/parameter_factory.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include <span>
#include <utility>

#include "core/error.h"

namespace moesaic {
namespace {

template <class T>
void fill_normal(at::Tensor& tensor, const RandomKey& key, std::int64_t first_element,
                 double std_dev) {
  constexpr std::int64_t kGrain = 1 << 16;
  const std::span<T> all(tensor.mutable_data_ptr<T>(), static_cast<std::size_t>(tensor.numel()));
  at::parallel_for(0, tensor.numel(), kGrain, [&](std::int64_t first, std::int64_t last) {
    const auto part =
        all.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(last - first));
    key.normals(static_cast<std::uint64_t>(first_element + first), std_dev, part);
  });
}

}  // namespace

ParameterFactory::ParameterFactory(const arch::Options& arch, const Options& options)
    : arch_(arch), options_(options) {
  for (auto& info : arch::parameter_table(arch)) {
    const std::string name = info.name;
    table_.emplace(name, std::move(info));
  }
}

Parameter ParameterFactory::make(const std::string& name) {
  auto parameter = make_if_present(name);
  if (!parameter)
    throw Error(ErrorKind::kInternal, format("parameter '{}' is not in the table", name));
  return *std::move(parameter);
}

std::optional<Parameter> ParameterFactory::make_if_present(const std::string& name) {
  const auto found = table_.find(name);
  if (found == table_.end()) return std::nullopt;
  const arch::ParameterInfo info = std::move(found->second);
  table_.erase(found);

  Parameter parameter;
  parameter.name = name;
  parameter.global_shape = info.shape;
  parameter.scope = info.scope;
  parameter.decay = info.decay;
  parameter.trainable = info.trainable;
  std::vector<std::int64_t> local = info.shape;
  std::int64_t first_element = 0;
  if (info.scope == Scope::kExpert) {
    local[0] = options_.plan.local_experts(info.shape[0]);
    parameter.offset = options_.plan.first_expert(options_.rank, info.shape[0]);
    first_element = parameter.offset * (info.numel() / info.shape[0]);
  }
  const auto other = options_.dtypes.find(name);
  parameter.tensor =
      at::empty(local, other == options_.dtypes.end() ? options_.dtype : other->second);
  if (options_.initialise) initialise(parameter, info, first_element);
  parameter.tensor = parameter.tensor.to(options_.device);
  return parameter;
}

void ParameterFactory::initialise(Parameter& parameter, const arch::ParameterInfo& info,
                                  std::int64_t first_element) const {
  at::Tensor& tensor = parameter.tensor;
  const RandomKey key(options_.seed, RandomStream::kInit, 0, parameter.name);
  if (info.init == arch::Init::kOnes)
    tensor.fill_(1);
  else if (info.init == arch::Init::kZeros)
    tensor.zero_();
  else if (tensor.scalar_type() == at::kDouble)
    fill_normal<double>(tensor, key, first_element, arch_.initializer_range);
  else
    fill_normal<float>(tensor, key, first_element, arch_.initializer_range);
}

void ParameterFactory::check_complete() const {
  if (table_.empty()) return;
  throw Error(ErrorKind::kInternal,
              format("the model does not use the parameter '{}'", table_.begin()->first));
}

}  // namespace moesaic
