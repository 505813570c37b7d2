#include "store/hub_source.h"

#include <algorithm>

#include "core/digest.h"
#include "store/agreement.h"

namespace moesaic {
namespace {

// Folders that Transformers wrote announce layers for multi-token prediction and do not have them.
Json config_of_weights(const HubFolder& folder) {
  Json config = folder.config();
  const arch::Options options = arch::require_options(config, folder.path() + "/config.json");
  if (options.num_nextn_predict_layers == 0) return config;
  const std::string needed = arch::layer_prefix(options.num_hidden_layers) +
                             arch::PredictionNames::kProjection + ".weight";
  const auto tensors = folder.tensors();
  const bool there = std::any_of(tensors.begin(), tensors.end(),
                                 [&](const HubTensor& item) { return item.name == needed; });
  if (there) return config;
  config.erase("num_mtp_layers");
  config["num_nextn_predict_layers"] = 0;
  return config;
}

}  // namespace

HubSource::HubSource(HubFolder folder)
    : ModelSource(folder.path(), config_of_weights(folder)),
      folder_(std::move(folder)),
      weights_(folder_, arch()) {
  dtypes_ = weights_.dtypes();
}

std::unique_ptr<HubSource> HubSource::open(const RankContext& context, const std::string& path) {
  std::unique_ptr<HubSource> source;
  agreed(context.world, "model: open", [&] {
    source = std::make_unique<HubSource>(HubFolder(path));
    if (!context.is_chief()) return;
    source->weights_.check_copies();
    for (const std::string& warning : source->weights_.warnings()) {
      context.log.warn("{}: {}", path, warning);
    }
  });
  return source;
}

// However the tensors are spread over files.
std::string HubSource::digest_here(const std::function<void()>& alive) const {
  Digest digest;
  digest.update(arch::to_config(arch()).dump());
  for (const HubTensor& item : folder_.tensors()) {
    digest.update(item.name).update(item.file->digest(*item.tensor));
    alive();
  }
  return digest.hex();
}

HubOrigin HubSource::origin(const RankContext& context) const {
  HubOrigin origin{.files = {}, .dtypes = dtypes_};
  agreed(context.world, "model: small files", [&] {
    if (context.is_chief()) origin.files = read_small_files(path_, context.log);
  });
  return origin;
}

void HubSource::read(const std::string& name, std::int64_t first, const at::Tensor& into) const {
  const arch::ParameterInfo& info = parameter(name);
  const std::vector<HubPart>& parts = weights_.of(info.name);
  const auto fill = [](const HubPart& part, std::int64_t value, const at::Tensor& values) {
    part.item.file->read(*part.item.tensor, part.first + value, values);
  };
  if (info.scope == arch::Scope::kDense) {
    const std::int64_t row_values = info.numel() / info.shape[0];
    return fill(parts[0], first * row_values, into);
  }
  for (std::int64_t i = 0; i < into.size(0); ++i) {
    fill(parts[static_cast<std::size_t>(first + i)], 0, into.select(0, i));
  }
}

void HubSource::fill(const RankContext& context, const StateDict& model) const {
  fill_by_reading(context, model, "the folder",
                  "use the model.config of the folder (its config.json), or other weights");
}

}  // namespace moesaic
