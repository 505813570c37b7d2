// CheckpointStore::save.
#include <algorithm>
#include <filesystem>

#include "core/error.h"
#include "core/fs.h"
#include "core/version.h"
#include "store/agreement.h"
#include "store/checkpoint.h"
#include "store/checkpoint_folder.h"
#include "store/dataset_writer.h"
#include "store/manifest.h"

namespace moesaic {
namespace {

constexpr std::uint64_t kSpareBytes = 16ULL << 20U;  // manifest, config.json and some air

bool is_narrowed(const StateEntry& entry, const std::string& dtype) {
  return dtype == "bfloat16" &&
         (entry.tensor.scalar_type() == at::kFloat || entry.tensor.scalar_type() == at::kDouble);
}

/// The datasets of one checkpoint, model.h5 and state.h5.
struct Files {
  std::vector<DatasetPart> model;
  std::vector<DatasetPart> state;  // empty: no state.h5
};

Files plan_files(const RankContext& context, const CheckpointContent& content,
                 const std::string& dtype) {
  Files files;
  for (const StateEntry& entry : content.model) {
    const auto type = entry.tensor.scalar_type();
    const bool narrowed = is_narrowed(entry, dtype);
    files.model.push_back(part_of(context, entry, entry.name, narrowed ? at::kBFloat16 : type));
    if (narrowed) files.state.push_back(part_of(context, entry, kMasterPrefix + entry.name, type));
  }
  for (const StateEntry& entry : content.state) {
    files.state.push_back(part_of(context, entry, entry.name, entry.tensor.scalar_type()));
  }
  return files;
}

/// Collective over world, as check_parts.
void check_files(const RankContext& context, Files& files) {
  std::vector<DatasetPart> all = files.model;
  all.insert(all.end(), files.state.begin(), files.state.end());
  check_parts(context, all);  // the manifest has one list of names for both files
  const auto middle = all.begin() + static_cast<std::ptrdiff_t>(files.model.size());
  files.model.assign(all.begin(), middle);
  files.state.assign(middle, all.end());
}

/// Collective over world. Each file is read back by one rank; the chief gets all entries.
Json describe_files(const RankContext& context, const std::string& folder,
                    const std::vector<std::string>& names) {
  Json mine = Json::object();
  agreed(context.world, "checkpoint: digests of files", [&] {
    for (std::size_t i = 0; i < names.size(); ++i) {
      const bool is_mine = static_cast<int>(i) % context.world.size() == context.rank();
      if (is_mine) mine[names[i]] = describe_file(folder + "/" + names[i]);
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

Json manifest_head(const RankContext& context, std::int64_t step, const CheckpointContent& content,
                   const std::string& dtype) {
  Json versions = Json::object();
  for (const auto& [name, version] : build_versions()) versions[name] = version;
  return {{"format", "moesaic-checkpoint"},
          {"format_version", 1},
          {"step", step},
          {"dtype", dtype},
          {"layout", {{"ranks", context.plan.world}, {"expert", context.plan.expert}}},
          {"versions", versions},
          {"tokenizer", content.tokenizer},
          {"training", content.training}};
}

}  // namespace

void CheckpointStore::save(const RankContext& context, std::int64_t step,
                           const CheckpointContent& content) const {
  Files files;
  agreed(context.world, "checkpoint: plan",
         [&] { files = plan_files(context, content, options_.dtype); });
  check_files(context, files);
  const std::string temporary = options_.folder + "/" + step_folder_name(step) + ".tmp";
  try {
    agreed(context.world, "checkpoint: begin", [&] {
      if (!context.is_chief()) return;
      begin_checkpoint(options_.folder, step,
                       file_bytes(files.model) + file_bytes(files.state) + kSpareBytes);
      write_file_atomic(temporary + "/" + kConfigFile, content.config.dump(2) + "\n");
    });
    std::vector<std::string> names = {kModelFile};
    DatasetDigests digests = write_datasets(context, temporary + "/" + kModelFile, files.model);
    if (!files.state.empty()) {
      names.emplace_back(kStateFile);
      digests.merge(write_datasets(context, temporary + "/" + kStateFile, files.state));
    }
    names.emplace_back(kConfigFile);
    digests = gather_digests(context, digests);
    const Json described = describe_files(context, temporary, names);
    agreed(context.world, "checkpoint: publish", [&] {
      if (!context.is_chief()) return;
      Json manifest = manifest_head(context, step, content, options_.dtype);
      manifest["sequence"] = next_sequence(options_.folder);
      manifest["parameters"] = parameter_count(files.model);
      manifest["files"] = described;
      manifest["datasets"] = to_json(digests);
      write_file_atomic(temporary + "/" + kManifestName, seal_manifest(manifest));
      publish_checkpoint(temporary, options_.folder, step);
      prune_checkpoints(options_.folder, options_.keep, context.log);
    });
  } catch (...) {
    std::error_code ignored;  // the next save removes what is left
    if (context.is_chief()) std::filesystem::remove_all(temporary, ignored);
    throw;
  }
}

}  // namespace moesaic
