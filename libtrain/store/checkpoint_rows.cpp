#include "store/checkpoint_rows.h"

#include <ATen/ops/empty.h>

#include <string_view>

#include "core/format.h"
#include "store/manifest.h"

namespace moesaic {

CheckpointRows::CheckpointRows(const CheckpointInfo& info)
    : model_(Hdf5File::open(info.path + "/" + kModelFile)) {
  constexpr std::string_view kPrefix = kMasterPrefix;
  for (const auto& [name, digests] : info.manifest.at("datasets").items()) {
    if (name.starts_with(kPrefix)) masters_.insert(name.substr(kPrefix.size()));
  }
  if (!masters_.empty()) state_ = Hdf5File::open(info.path + "/" + kStateFile);
}

void CheckpointRows::compare(const std::vector<arch::ParameterInfo>& table,
                             Differences& differences) const {
  std::set<std::string> names;
  for (std::string& name : model_.dataset_names()) names.insert(std::move(name));
  for (const arch::ParameterInfo& parameter : table) {
    if (names.erase(parameter.name) == 0) {
      differences.missing(parameter.name);
      continue;
    }
    const Hdf5Spec spec = model_.dataset(parameter.name).spec();
    if (spec.shape != parameter.shape || !at::isFloatingType(spec.dtype)) {
      differences.differs(format("{} is {} [{}] (here [{}])", parameter.name,
                                 dtype_name(spec.dtype), join(spec.shape, ", "),
                                 join(parameter.shape, ", ")));
    }
  }
  for (const std::string& name : names) differences.unexpected(name);
}

at::ScalarType CheckpointRows::dtype(const std::string& parameter) const {
  return model_.dataset(parameter).spec().dtype;
}

std::vector<std::int64_t> CheckpointRows::shape(const std::string& parameter) const {
  return model_.dataset(parameter).spec().shape;
}

at::Tensor CheckpointRows::rows(const std::string& parameter, std::int64_t first,
                                std::int64_t count) const {
  const bool master = masters_.contains(parameter);
  const Hdf5Dataset dataset =
      master ? state_->dataset(kMasterPrefix + parameter) : model_.dataset(parameter);
  std::vector<std::int64_t> shape = dataset.spec().shape;
  shape[0] = count;
  const at::Tensor values = at::empty(shape, at::TensorOptions(dataset.spec().dtype));
  dataset.read_rows(first, count, values.mutable_data_ptr());
  return values;
}

}  // namespace moesaic
