#include "store/checkpoint_writer.h"

#include <algorithm>
#include <filesystem>

#include "arch/arch.h"
#include "core/error.h"
#include "core/fs.h"
#include "core/version.h"
#include "store/agreement.h"
#include "store/checkpoint.h"
#include "store/checkpoint_folder.h"
#include "store/manifest.h"

namespace moesaic {
namespace {

constexpr std::uint64_t kSpareBytes = 16ULL << 20U;  // manifest, config.json and some air

bool is_narrowed(const StateEntry& entry, const std::string& dtype) {
  return dtype == "bfloat16" && !entry.exact &&
         (entry.tensor.scalar_type() == at::kFloat || entry.tensor.scalar_type() == at::kDouble);
}

CheckpointFiles plan_files(const RankContext& context, const CheckpointContent& content,
                           const std::string& dtype) {
  CheckpointFiles files{.config = content.config, .hub = content.hub.files};
  for (const StateEntry& entry : content.model) {
    const auto type = entry.tensor.scalar_type();
    const bool narrowed = is_narrowed(entry, dtype);
    files.model.push_back(part_of(context, entry, entry.name, narrowed ? at::kBFloat16 : type));
    const auto hub = content.hub.dtypes.find(entry.name);
    if (hub != content.hub.dtypes.end()) files.model.back().hub_dtype = dtype_name(hub->second);
    if (narrowed) files.state.push_back(part_of(context, entry, kMasterPrefix + entry.name, type));
  }
  for (const StateEntry& entry : content.state) {
    files.state.push_back(part_of(context, entry, entry.name, entry.tensor.scalar_type()));
  }
  return files;
}

/// Collective over world, as check_parts.
void check_files(const RankContext& context, const CheckpointFiles& files) {
  std::vector<DatasetPart> all = files.model;
  all.insert(all.end(), files.state.begin(), files.state.end());
  check_parts(context, all);  // the manifest has one list of names for both files
}

/// Collective over world. Each file is read back by one rank, while the disk still works on it; the
/// chief gets all entries.
Json describe_files(const RankContext& context, const std::string& folder,
                    const std::vector<std::string>& names) {
  Json mine = Json::object();
  agreed(context.world, "checkpoint: digests of files", [&] {
    for (std::size_t i = 0; i < names.size(); ++i) {
      const bool is_mine = static_cast<int>(i) % context.world.size() == context.rank();
      if (!is_mine) continue;
      mine[names[i]] = describe_file(folder + "/" + names[i], [&] { context.world.progress(); });
    }
  });
  Json files = Json::object();
  for (const std::string& text : context.world.all_gather(mine.dump(), "checkpoint: files")) {
    files.update(Json::parse(text));
  }
  return files;
}

std::int64_t parameter_count(const std::vector<DatasetPart>& model) {
  std::int64_t count = 0;
  for (const DatasetPart& part : model) count += part.spec.shape[0] * part.spec.row_values();
  return count;
}

std::int64_t next_sequence(const std::string& folder) {
  std::int64_t last = 0;
  for (const FoundCheckpoint& found : list_checkpoints(folder))
    last = std::max(last, found.sequence.value_or(0));
  return last + 1;
}

void write_small_files(const std::string& folder, const CheckpointFiles& files) {
  write_file_atomic(folder + "/" + kConfigFile, files.config.dump(2) + "\n");
  if (!files.hub.empty()) make_folder(folder + "/" + kHubPrefix);
  for (const auto& [name, text] : files.hub) {
    write_file_atomic(folder + "/" + kHubPrefix + name, text);
  }
}

/// Collective over world: each rank has written to these files.
void sync_datasets(const RankContext& context, const std::string& folder,
                   const std::vector<std::string>& names) {
  agreed(context.world, "checkpoint: sync", [&] {
    for (const std::string& name : names) {
      if (context.is_chief()) release_space(folder + "/" + name);
      sync_path(folder + "/" + name);
      context.world.progress();
    }
  });
}

/// Collective over world: only the chief has the small files.
std::vector<std::string> hub_names(const RankContext& context, const CheckpointFiles& files) {
  Json names = Json::array();
  for (const auto& [name, text] : files.hub) names.push_back(kHubPrefix + name);
  const std::string text = context.world.broadcast(names.dump(), 0, "checkpoint: small files");
  return Json::parse(text).get<std::vector<std::string>>();
}

}  // namespace

std::uint64_t CheckpointFiles::bytes() const {
  std::uint64_t bytes = file_bytes(model) + file_bytes(state) + kSpareBytes;
  for (const auto& [name, text] : hub) bytes += text.size();
  return bytes;
}

Json manifest_head(const RankContext& context, std::int64_t step, const std::string& dtype) {
  Json versions = Json::object();
  for (const auto& [name, version] : build_versions()) versions[name] = version;
  return {{"format", "moesaic-checkpoint"},
          {"format_version", 1},
          {"step", step},
          {"dtype", dtype},
          {"layout", {{"ranks", context.plan.world}, {"expert", context.plan.expert}}},
          {"versions", versions},
          {"tokenizer", nullptr},
          {"training", Json::object()}};
}

void write_checkpoint(const RankContext& context, const std::string& folder,
                      const CheckpointFiles& files, Json manifest) {
  agreed(context.world, "checkpoint: small files", [&] {
    if (context.is_chief()) write_small_files(folder, files);
  });
  std::vector<std::string> names = {kModelFile};
  DatasetDigests digests = write_datasets(context, folder + "/" + kModelFile, files.model);
  if (!files.state.empty()) {
    names.emplace_back(kStateFile);
    digests.merge(write_datasets(context, folder + "/" + kStateFile, files.state));
  }
  const std::vector<std::string> datasets = names;
  names.emplace_back(kConfigFile);
  for (std::string& name : hub_names(context, files)) names.push_back(std::move(name));
  digests = gather_digests(context, digests);
  const Json described = describe_files(context, folder, names);
  sync_datasets(context, folder, datasets);
  agreed(context.world, "checkpoint: manifest", [&] {
    if (!context.is_chief()) return;
    manifest["parameters"] = parameter_count(files.model);
    manifest["files"] = described;
    manifest["datasets"] = to_json(digests);
    write_file_atomic(folder + "/" + kManifestName, seal_manifest(manifest));
  });
}

void CheckpointStore::save(const RankContext& context, std::int64_t step,
                           const CheckpointContent& content) const {
  CheckpointFiles files;
  agreed(context.world, "checkpoint: plan",
         [&] { files = plan_files(context, content, options_.dtype); });
  check_files(context, files);
  const std::string temporary = options_.folder + "/" + step_folder_name(step) + ".tmp";
  try {
    Json manifest = manifest_head(context, step, options_.dtype);
    manifest["tokenizer"] = content.tokenizer;
    manifest["training"] = content.training;
    if (!content.base.is_null()) manifest["base"] = content.base;
    agreed(context.world, "checkpoint: begin", [&] {
      if (!context.is_chief()) return;
      begin_checkpoint(options_.folder, step, files.bytes(), context.log);
      manifest["sequence"] = next_sequence(options_.folder);
    });
    write_checkpoint(context, temporary, files, std::move(manifest));
    agreed(context.world, "checkpoint: publish", [&] {
      if (!context.is_chief()) return;
      publish_checkpoint(temporary, options_.folder, step, content.best);
      prune_checkpoints(options_.folder, options_.keep, context.log);
    });
  } catch (...) {
    std::error_code ignored;  // the next save removes what is left
    if (context.is_chief()) std::filesystem::remove_all(temporary, ignored);
    throw;
  }
}

}  // namespace moesaic
