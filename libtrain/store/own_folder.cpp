#include "store/own_folder.h"

#include <optional>
#include <vector>

#include "arch/arch.h"
#include "core/fs.h"
#include "core/json_text.h"
#include "core/path.h"
#include "store/hub_config.h"
#include "store/hub_index.h"
#include "store/manifest.h"
#include "store/model_files.h"

namespace moesaic {
namespace {

constexpr const char* kMarkFormat = "moesaic-export";

[[noreturn]] void refuse(const std::string& folder, const std::string& why) {
  throw Error(ErrorKind::kCheckpoint, format("{} is not overwritten: {}", folder, why),
              "choose another place, or remove it yourself");
}

/// Names of all that is in the folder and, as "hub/<name>", in its folder hub.
std::vector<std::string> everything_in(const std::string& folder) {
  std::vector<std::string> found;
  for (const std::string& name : names_in(folder, ErrorKind::kCheckpoint)) {
    const std::string path = folder + "/" + name;
    const bool is_hub = name + "/" == kHubPrefix && is_folder(path) && link_target(path).empty();
    if (!is_hub) found.push_back(name);
    if (!is_hub) continue;
    for (const std::string& inside : names_in(path, ErrorKind::kCheckpoint))
      found.push_back(kHubPrefix + inside);
  }
  return found;
}

/// {name: {size, xxh3_128}} of an export; nothing without its mark.
std::optional<Json> exported_files(const std::string& folder) {
  const std::string path = folder + "/" + kExportMark;
  if (!is_file(path)) return std::nullopt;
  const Json mark = read_json(path, ErrorKind::kCheckpoint);
  const bool good = mark.is_object() && mark.value("format", Json()) == kMarkFormat &&
                    mark.contains("files") && mark["files"].is_object();
  if (!good) refuse(folder, format("{} is damaged", kExportMark));
  return mark["files"];
}

/// The same of an import; nothing for what is none: a checkpoint of a run is not.
std::optional<Json> imported_files(const std::string& folder) {
  if (!is_file(folder + "/" + kManifestName)) return std::nullopt;
  const Json manifest = unseal_manifest(read_manifest(folder), folder + "/" + kManifestName);
  const bool from_a_run = manifest["step"] != 0 || !manifest.value("training", Json()).empty();
  if (from_a_run) refuse(folder, "it is a checkpoint of a run");
  return manifest["files"];
}

bool is_our_config(const std::string& path) {
  try {
    const std::string text = read_file(path, ErrorKind::kCheckpoint, 4U << 20);
    const Json config = parse_json(text, path, ErrorKind::kCheckpoint);
    const Json dtype = config.is_object() ? config.value("torch_dtype", Json()) : Json();
    return dtype.is_string() &&
           text == hub_config_text(arch::require_options(config, path), "", dtype);
  } catch (const Error&) {
    return false;
  }
}

/// Without sizes and digests, of an export by a version that wrote no mark.
std::optional<Json> formerly_exported_files(const std::string& folder) {
  if (!is_our_config(folder + "/" + kConfigFile)) return std::nullopt;
  std::vector<std::string> weights = {kHubSingleFile};
  const std::string index = folder + "/" + kHubIndexFile;
  if (is_file(index)) {
    weights = parse_hub_index(read_file(index, ErrorKind::kCheckpoint, kMaxHubIndex), index).shards;
    weights.emplace_back(kHubIndexFile);
  }
  Json files = {{kConfigFile, nullptr}};
  for (const std::string& name : weights) files[name] = nullptr;
  for (const std::string& name : names_in(folder))
    if (is_tokenizer_file(name)) files[name] = nullptr;
  return files;
}

void require_unchanged(const std::string& folder, const std::string& name, const Json& entry) {
  if (!is_file(folder + "/" + name) || !link_target(folder + "/" + name).empty())
    refuse(folder, name + " is no file");
  if (entry.is_null()) return;
  if (!is_file_entry(entry)) refuse(folder, format("{} is damaged", kExportMark));
  try {
    check_file(folder, name, entry);
  } catch (const Error&) {
    refuse(folder, name + " has changed since it was written");
  }
}

}  // namespace

void mark_export(const std::string& folder) {
  Json files = Json::object();
  for (const std::string& name : names_in(folder, ErrorKind::kCheckpoint))
    files[name] = describe_file(folder + "/" + name, {});
  const Json mark = {{"format", kMarkFormat}, {"files", files}};
  write_file_atomic(folder + "/" + kExportMark, json_text(mark, 1) + "\n");
}

void require_own_folder(const std::string& folder) {
  std::optional<Json> files = exported_files(folder);
  const char* description = files ? kExportMark : kManifestName;
  if (!files) files = imported_files(folder);
  if (!files) files = formerly_exported_files(folder);
  if (!files) refuse(folder, "no export or import of Moesaic wrote it");
  for (const std::string& name : everything_in(folder)) {
    if (name == description) continue;
    if (!files->contains(name)) refuse(folder, format("{} in it is something else", name));
    require_unchanged(folder, name, (*files)[name]);
  }
}

}  // namespace moesaic
