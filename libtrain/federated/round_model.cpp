#include "federated/round_model.h"

namespace moesaic {
namespace {

void copy_to(const std::vector<RoundModel::Entry>& entries, const ParameterSet& parameters) {
  for (const RoundModel::Entry& entry : entries)
    if (!entry.tensor.is_alias_of(parameters[entry.index].tensor))
      at::Tensor(parameters[entry.index].tensor).copy_(entry.tensor);
}

}  // namespace

void RoundModel::take(const ParameterSet& parameters, const KindOf& kind_of) {
  shared_.clear();
  private_.clear();
  base_.clear();
  by_index_.assign(parameters.size(), {});
  for (const Parameter& parameter : parameters) {
    const Kind kind = kind_of(parameter);
    if (kind == Kind::kFixed) continue;
    const auto index = static_cast<std::size_t>(parameter.index);
    Entry entry{parameter.name, index, parameter.scope, parameter.tensor.detach()};
    if (kind == Kind::kBase) {
      entry.scale = parameter.adapter_scale;
      base_.push_back(std::move(entry));
      continue;
    }
    entry.tensor = entry.tensor.clone();
    if (kind == Kind::kShared) by_index_[index] = entry.tensor;
    (kind == Kind::kShared ? shared_ : private_).push_back(std::move(entry));
  }
}

void RoundModel::give(const ParameterSet& parameters, bool all) const {
  copy_to(shared_, parameters);
  copy_to(base_, parameters);
  if (all) copy_to(private_, parameters);
}

at::Tensor RoundModel::of(const Parameter& parameter) const {
  const auto index = static_cast<std::size_t>(parameter.index);
  return index < by_index_.size() ? by_index_[index] : at::Tensor();
}

std::vector<at::Tensor> RoundModel::change(const ParameterSet& parameters) const {
  std::vector<at::Tensor> change;
  for (const Entry& entry : shared_)
    change.push_back(parameters[entry.index].tensor.detach().sub(entry.tensor).cpu());
  return change;
}

}  // namespace moesaic
