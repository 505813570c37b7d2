#include "privacy/clipping.h"

#include <algorithm>
#include <cmath>
#include <map>

namespace moesaic {

ClippingRule ClippingRule::named(const std::string& name, double clip_norm) {
  if (clip_norm == 0) return {Clipping::kNone, 0};
  if (name == "per_layer") return {Clipping::kPerLayer, clip_norm};
  if (name == "automatic") return {Clipping::kAutomatic, clip_norm};
  return {Clipping::kFlat, clip_norm};
}

at::Tensor ClippingRule::factors(const at::Tensor& square_UG) const {
  const at::Tensor norm_UG = square_UG.sqrt();
  switch (clipping) {
    case Clipping::kNone:
      return norm_UG.mul(0).add(1);
    case Clipping::kFlat:
    case Clipping::kPerLayer: {
      const double bound = clip_norm / std::sqrt(static_cast<double>(square_UG.size(1)));
      return norm_UG.reciprocal().mul_(bound).clamp_max_(1);
    }
    case Clipping::kAutomatic:
      return norm_UG.add(0.01).reciprocal_().mul_(clip_norm);
  }
  return {};
}

ClippingGroups ClippingGroups::of(const ParameterSet& parameters, Clipping clipping) {
  ClippingGroups groups;
  std::map<arch::Group, std::int64_t> number;
  for (const Parameter& parameter : parameters) {
    if (!parameter.trainable) {
      groups.of_parameter.push_back(-1);
      continue;
    }
    const arch::Group key = clipping == Clipping::kPerLayer ? parameter.group : arch::Group::kDense;
    const auto next = static_cast<std::int64_t>(number.size());
    groups.of_parameter.push_back(number.emplace(key, next).first->second);
  }
  groups.count = std::max<std::int64_t>(1, static_cast<std::int64_t>(number.size()));
  return groups;
}

}  // namespace moesaic
