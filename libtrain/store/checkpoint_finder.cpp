// CheckpointStore::newest and open: which checkpoint is whole.
#include <optional>

#include "config/no_model.h"
#include "core/error.h"
#include "core/fs.h"
#include "core/path.h"
#include "core/text_list.h"
#include "store/agreement.h"
#include "store/checkpoint.h"
#include "store/checkpoint_folder.h"
#include "store/manifest.h"

namespace moesaic {
namespace {

void check_step(const std::string& path, std::int64_t step) {
  const std::string name = file_name(absolute_path(path));
  const auto expected = step_of_folder(name);
  MOESAIC_CHECK(!expected || *expected == step, ErrorKind::kCheckpoint,
                "{} is damaged: its manifest is of step {}", path, step);
}

/// Collective over world. Manifest and digests of all files, each read by one rank.
CheckpointInfo verify(const RankContext& context, const std::string& path) {
  std::string text;
  agreed(context.world, "checkpoint: manifest", [&] {
    if (context.is_chief()) text = read_manifest(path);
  });
  text = context.world.broadcast(text, 0, "checkpoint: manifest text");
  CheckpointInfo info{.path = path};
  agreed(context.world, "checkpoint: files", [&] {
    info.manifest = unseal_manifest(text, path + "/" + kManifestName);
    info.step = info.manifest["step"].get<std::int64_t>();
    check_step(path, info.step);
    int index = 0;
    for (const auto& [name, entry] : info.manifest["files"].items()) {
      if (index++ % context.world.size() != context.rank()) continue;
      check_file(path, name, entry, [&] { context.world.progress(); });
    }
  });
  return info;
}

/// Collective over world: what the chief sees.
std::vector<std::string> listed(const RankContext& context, const std::string& folder) {
  std::vector<std::string> paths;
  agreed(context.world, "checkpoint: list", [&] {
    if (!context.is_chief()) return;
    for (const FoundCheckpoint& found : list_checkpoints(folder)) paths.push_back(found.path);
  });
  return unpack_texts(context.world.broadcast(pack_texts(paths), 0, "checkpoint: list"));
}

/// Collective over world. Where `path` points: a checkpoint folder itself, or where to look for the
/// newest.
struct CheckpointPlace {
  std::string path;
  bool is_checkpoint = false;
};

constexpr const char* kCheckpoint = "checkpoint";
constexpr const char* kFolder = "folder of checkpoints";

CheckpointPlace locate(const RankContext& context, const std::string& path) {
  std::vector<std::string> place;
  agreed(context.world, "checkpoint: locate", [&] {
    if (!context.is_chief()) return;
    constexpr ErrorKind kKind = ErrorKind::kCheckpoint;
    if (is_folder(path + "/checkpoints", kKind)) place = {path + "/checkpoints", kFolder};
    if (place.empty() && !list_checkpoints(path).empty()) place = {path, kFolder};
    if (path_exists(path + "/" + kManifestName, kKind)) place = {path, kCheckpoint};
    if (place.empty()) refuse_no_model(path);
  });
  place = unpack_texts(context.world.broadcast(pack_texts(place), 0, "checkpoint: place"));
  return {place.at(0), place.at(1) == kCheckpoint};
}

}  // namespace

std::optional<CheckpointInfo> CheckpointStore::newest(const RankContext& context) const {
  const auto paths = listed(context, options_.folder);
  for (const std::string& path : paths) {
    try {
      return verify(context, path);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kCheckpoint) throw;
      if (context.is_chief()) context.log.warn("skipped a damaged checkpoint: {}", error.what());
    }
  }
  MOESAIC_CHECK(paths.empty(), ErrorKind::kCheckpoint, "all {} checkpoints in {} are damaged",
                paths.size(), options_.folder);
  return std::nullopt;
}

CheckpointInfo CheckpointStore::open(const RankContext& context, const std::string& path) {
  const CheckpointPlace place = locate(context, path);
  if (place.is_checkpoint) return verify(context, place.path);
  const auto found = CheckpointStore({.folder = place.path}).newest(context);
  MOESAIC_CHECK(found.has_value(), ErrorKind::kCheckpoint, "there is no checkpoint in {}",
                place.path);
  return *found;
}

}  // namespace moesaic
