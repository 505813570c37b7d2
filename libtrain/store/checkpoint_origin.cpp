// CheckpointStore::origin.
#include <string_view>

#include "core/fs.h"
#include "store/agreement.h"
#include "store/checkpoint.h"
#include "store/hdf5.h"
#include "store/manifest.h"

namespace moesaic {

HubOrigin CheckpointStore::origin(const RankContext& context, const CheckpointInfo& info) {
  HubOrigin origin;
  agreed(context.world, "checkpoint: origin", [&] {
    const Hdf5File model = Hdf5File::open(info.path + "/" + kModelFile);
    for (const std::string& name : model.dataset_names()) {
      const auto dtype = dtype_named(model.dataset(name).attribute("hub_dtype"));
      if (dtype) origin.dtypes.emplace(name, *dtype);
    }
    if (!context.is_chief()) return;
    constexpr std::string_view kPrefix = kHubPrefix;
    for (const auto& [name, entry] : info.manifest.at("files").items()) {
      if (!name.starts_with(kPrefix)) continue;
      const std::string file = name.substr(kPrefix.size());
      if (file.find('/') != std::string::npos) continue;
      origin.files[file] = read_file(info.path + "/" + name, ErrorKind::kCheckpoint);
    }
  });
  return origin;
}

}  // namespace moesaic
