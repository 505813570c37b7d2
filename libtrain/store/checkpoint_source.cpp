#include "store/checkpoint_source.h"

#include "config/model_config.h"
#include "core/digest.h"
#include "store/agreement.h"
#include "store/manifest.h"

namespace moesaic {

CheckpointSource::CheckpointSource(CheckpointInfo info)
    : ModelSource(info.path,
                  read_config_file(info.path + "/" + kConfigFile, ErrorKind::kCheckpoint)),
      info_(std::move(info)),
      rows_(info_) {
  const arch::ParameterTable table = arch::parameter_table(arch());
  Differences differences("the checkpoint");
  rows_.compare(table, differences);
  differences.require_none(format("the weights in {} are not those of its config.json", path_),
                           "take another checkpoint");
  for (const arch::ParameterInfo& info_of : table)
    dtypes_.emplace(info_of.name, rows_.dtype(info_of.name));
}

std::unique_ptr<CheckpointSource> CheckpointSource::open(const RankContext& context,
                                                         const CheckpointInfo& info) {
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

std::string CheckpointSource::digest_here(const std::function<void()>&) const {
  return digest_of(read_manifest(path_));  // which has the digests of all weights
}

void CheckpointSource::fill(const RankContext& context, const StateDict& model) const {
  agreed(context.world, "model: fit", [&] {
    require_fit(model, "the checkpoint",
                "use the model.config with which it was saved (its config.json), or another "
                "checkpoint");
  });
  CheckpointContent content{.model = model, .is_part = true};
  std::erase_if(content.model, [](const StateEntry& entry) { return entry.quantised.defined(); });
  CheckpointStore::load(context, info_, content);
}

}  // namespace moesaic
