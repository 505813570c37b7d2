// CheckpointStore::newest and open: which checkpoint is whole.
#include <filesystem>
#include <optional>

#include "core/error.h"
#include "core/fs.h"
#include "store/agreement.h"
#include "store/checkpoint.h"
#include "store/checkpoint_folder.h"
#include "store/manifest.h"

namespace moesaic {
namespace {

namespace fs = std::filesystem;

void check_step(const std::string& path, std::int64_t step) {
  const std::string name = fs::path(absolute_path(path)).filename().string();
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
  Json paths = Json::array();
  agreed(context.world, "checkpoint: list", [&] {
    if (!context.is_chief()) return;
    for (const FoundCheckpoint& found : list_checkpoints(folder)) paths.push_back(found.path);
  });
  const std::string text = context.world.broadcast(paths.dump(), 0, "checkpoint: list");
  return Json::parse(text).get<std::vector<std::string>>();
}

/// Collective over world. Where `path` points: a checkpoint folder itself, or where to look for the
/// newest.
struct Place {
  std::string path;
  bool is_checkpoint = false;
};

Place locate(const RankContext& context, const std::string& path) {
  Json place;
  agreed(context.world, "checkpoint: locate", [&] {
    if (!context.is_chief()) return;
    const bool run = fs::is_directory(path + "/checkpoints");
    const bool has_manifest = fs::exists(path + "/" + kManifestName);
    const bool is_checkpoint = has_manifest || (!run && list_checkpoints(path).empty());
    MOESAIC_CHECK(fs::is_directory(path), ErrorKind::kCheckpoint,
                  "cannot open the checkpoint {}: there is no such folder", path);
    place = {{"path", run && !has_manifest ? path + "/checkpoints" : path},
             {"checkpoint", is_checkpoint}};
  });
  place = Json::parse(context.world.broadcast(place.dump(), 0, "checkpoint: place"));
  return {place["path"].get<std::string>(), place["checkpoint"].get<bool>()};
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
  const Place place = locate(context, path);
  if (place.is_checkpoint) return verify(context, place.path);
  const auto found = CheckpointStore({.folder = place.path}).newest(context);
  MOESAIC_CHECK(found.has_value(), ErrorKind::kCheckpoint, "there is no checkpoint in {}",
                place.path);
  return *found;
}

}  // namespace moesaic
