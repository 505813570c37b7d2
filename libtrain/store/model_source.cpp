#include "store/model_source.h"

#include <ATen/core/grad_mode.h>

#include "store/agreement.h"
#include "store/checkpoint_source.h"
#include "store/finite.h"
#include "store/gguf_source.h"
#include "store/hub_source.h"

namespace moesaic {

ModelSource::ModelSource(std::string path, Json config)
    : path_(std::move(path)),
      config_(std::move(config)),
      arch_(arch::require_options(config_, path_ + "/config.json")) {}

std::unique_ptr<ModelSource> ModelSource::open(const RankContext& context,
                                               const std::string& path) {
  std::string kind;
  agreed(context.world, "model: locate", [&] {
    if (context.is_chief()) kind = is_gguf(path) ? "gguf" : HubFolder::is_at(path) ? "hub" : "own";
  });
  kind = context.world.broadcast(kind, 0, "model: locate");
  if (kind == "gguf") return GgufSource::open(context, path);
  if (kind == "hub") return HubSource::open(context, path);
  return CheckpointSource::open(context, path);
}

void ModelSource::load(const RankContext& context, const StateDict& model,
                       const LoadOptions& options) const {
  const at::NoGradGuard no_grad;
  fill(context, model);
  if (options.allow_nonfinite) return;
  agreed(context.world, "model: numbers", [&] {
    for (const StateEntry& entry : model)
      require_finite(entry.name, entry.scope, entry.offset, entry.tensor, path_);
  });
}

}  // namespace moesaic
