#include "store/checkpoint_source.h"

#include <ATen/ops/empty.h>

#include <string_view>

#include "config/model_config.h"
#include "store/agreement.h"
#include "store/differences.h"
#include "store/manifest.h"

namespace moesaic {

CheckpointSource::CheckpointSource(CheckpointInfo info)
    : ModelSource(info.path,
                  read_config_file(info.path + "/" + kConfigFile, ErrorKind::kCheckpoint)),
      info_(std::move(info)),
      model_(Hdf5File::open(path_ + "/" + kModelFile)) {
  constexpr std::string_view kPrefix = kMasterPrefix;
  for (const auto& [name, digests] : info_.manifest.at("datasets").items()) {
    if (name.starts_with(kPrefix)) masters_.insert(name.substr(kPrefix.size()));
  }
  if (!masters_.empty()) state_ = Hdf5File::open(path_ + "/" + kStateFile);
  check_fit();
}

void CheckpointSource::check_fit() {
  Differences differences("the checkpoint");
  std::set<std::string> names;
  for (std::string& name : model_.dataset_names()) names.insert(std::move(name));
  for (const arch::ParameterInfo& parameter : arch::parameter_table(arch())) {
    if (names.erase(parameter.name) == 0) {
      differences.missing(parameter.name);
      continue;
    }
    const Hdf5Spec spec = model_.dataset(parameter.name).spec();
    dtypes_.emplace(parameter.name, spec.dtype);
    if (spec.shape != parameter.shape || !at::isFloatingType(spec.dtype)) {
      differences.differs(format("{} is {} [{}] (here [{}])", parameter.name,
                                 dtype_name(spec.dtype), join(spec.shape, ", "),
                                 join(parameter.shape, ", ")));
    }
  }
  for (const std::string& name : names) differences.unexpected(name);
  differences.require_none(format("the weights in {} are not those of its config.json", path_),
                           "take another checkpoint");
}

std::unique_ptr<CheckpointSource> CheckpointSource::open(const RankContext& context,
                                                         const std::string& path) {
  const CheckpointInfo info = CheckpointStore::open(context, path);
  std::unique_ptr<CheckpointSource> source;
  agreed(context.world, "model: open", [&] { source = std::make_unique<CheckpointSource>(info); });
  return source;
}

Json CheckpointSource::tokenizer() const {
  return info_.manifest.value("tokenizer", Json(nullptr));
}

HubOrigin CheckpointSource::origin(const RankContext& context) const {
  return CheckpointStore::origin(context, info_);
}

at::Tensor CheckpointSource::rows(const std::string& parameter, std::int64_t first,
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

void CheckpointSource::fill(const RankContext& context, const StateDict& model) const {
  agreed(context.world, "model: fit", [&] {
    require_fit(model, "the checkpoint",
                "use the model.config with which it was saved (its config.json), or another "
                "checkpoint");
  });
  CheckpointContent content{.model = model, .is_part = true};
  CheckpointStore::load(context, info_, content);
}

}  // namespace moesaic
