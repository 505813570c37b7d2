#include "store/hub_folder.h"

#include <algorithm>
#include <optional>
#include <tuple>

#include "config/gguf_header.h"
#include "config/model_config.h"
#include "config/no_model.h"
#include "core/path.h"
#include "store/differences.h"
#include "store/hub_index.h"
#include "store/hub_names.h"
#include "store/manifest.h"

namespace moesaic {
namespace {

constexpr ErrorKind kKind = ErrorKind::kCheckpoint;
constexpr std::size_t kMaxTensors = 500'000;  // of all shards together
constexpr std::uint64_t kMaxSmallFile = 64U << 20;
constexpr std::uint64_t kMaxSmallFiles = 128U << 20;  // together
constexpr std::size_t kMaxSmallFileCount = 200;

void check_is_model(const std::string& path) {
  if (!is_folder(path, kKind) || !HubFolder::is_at(path)) refuse_no_model(path);
}

/// Where both are there, the single file counts, as for Transformers.
bool has_index(const std::string& path) {
  return !path_exists(path + "/" + kHubSingleFile, kKind) &&
         entry_exists(path + "/" + kHubIndexFile, kKind);
}

HubIndex read_index(const std::string& path) {
  if (!has_index(path)) return {.shards = {kHubSingleFile}, .weights = {}};
  const std::string file = path + "/" + kHubIndexFile;
  return parse_hub_index(read_file(file, ErrorKind::kCheckpoint, kMaxHubIndex), file);
}

/// Each weight of the index is in its shard, and no others are there. Both lists are sorted by name
/// and shard.
void compare(const HubIndex& index, const std::vector<HubTensor>& tensors,
             const SafetensorsFile* first_file, const std::string& path) {
  Differences differences("the shards");
  const auto shown = [&](const std::string& name, std::size_t shard) {
    return format("{} in {}", name, index.shards[shard]);
  };
  std::size_t i = 0;
  std::size_t j = 0;
  while (i < index.weights.size() || j < tensors.size()) {
    const auto listed = i < index.weights.size() ? std::optional(index.weights[i]) : std::nullopt;
    const auto shard = j < tensors.size() ? tensors[j].file - first_file : 0;
    const auto found =
        j < tensors.size()
            ? std::optional(std::pair(tensors[j].tensor->name, static_cast<std::size_t>(shard)))
            : std::nullopt;
    if (listed == found) {
      ++i, ++j;
    } else if (found && is_computed(found->first) && (!listed || *found < *listed)) {
      ++j;  // older models have them in the files and not in the index
    } else if (listed && is_computed(listed->first) && (!found || *listed < *found)) {
      ++i;
    } else if (!found || (listed && *listed < *found)) {
      differences.missing(shown(listed->first, listed->second)), ++i;
    } else {
      differences.unexpected(shown(found->first, found->second)), ++j;
    }
  }
  differences.require_none(format("{} and its shards disagree", path + "/" + kHubIndexFile),
                           "fetch the folder again: a file is missing or of another version");
}

bool has_suffix(const std::string& name, std::initializer_list<const char*> suffixes) {
  return std::any_of(suffixes.begin(), suffixes.end(),
                     [&](const char* suffix) { return name.ends_with(suffix); });
}

/// Not the weights, in whatever format, nor what describes them.
bool is_carried(const std::string& name) {
  return name.front() != '.' &&
         !has_suffix(name, {".safetensors", ".index.json", ".bin", ".pt", ".pth", ".ckpt", ".h5",
                            ".gguf", ".msgpack", ".onnx", ".npz", ".pkl", ".ot", ".tmp"});
}

bool is_plain(const std::string& name) {
  return std::all_of(name.begin(), name.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

}  // namespace

bool HubFolder::is_at(const std::string& path) {
  // A link that leads to nothing says that a model was here.
  return entry_exists(path + "/" + kHubSingleFile, kKind) ||
         entry_exists(path + "/" + kHubIndexFile, kKind);
}

HubFolder::HubFolder(const std::string& path) : path_(path) {
  check_is_model(path);
  config_ = read_config_file(path + "/" + kConfigFile, ErrorKind::kCheckpoint);
  const HubIndex index = read_index(path);
  files_.reserve(index.shards.size());
  std::size_t count = 0;
  for (const std::string& shard : index.shards) {
    files_.emplace_back(path + "/" + shard);
    count += files_.back().header().tensors.size();
    MOESAIC_CHECK(count <= kMaxTensors, ErrorKind::kCheckpoint, "{} holds over {} tensors", path,
                  kMaxTensors);
  }
  tensors_.reserve(count);
  for (const SafetensorsFile& file : files_) {
    for (const SafetensorsTensor& tensor : file.header().tensors)
      tensors_.push_back({&file, &tensor, {}});
  }
  std::sort(tensors_.begin(), tensors_.end(),
            [](const HubTensor& a, const HubTensor& b) { return a.tensor->name < b.tensor->name; });
  if (has_index(path)) compare(index, tensors_, files_.data(), path);
  ModelNames names;
  for (const HubTensor& item : tensors_) names.see(item.tensor->name);
  for (HubTensor& item : tensors_) item.name = names.in_model(item.tensor->name);
}

std::map<std::string, std::string> read_small_files(const std::string& folder, const Log& log) {
  std::vector<std::string> names;
  for (std::string& name : names_in(folder, kKind)) {
    const std::string path = folder + "/" + name;
    if (is_carried(name) && is_file(path, kKind) && !is_gguf(path))
      names.push_back(std::move(name));
  }
  std::map<std::string, std::string> files;
  std::uint64_t total = 0;
  for (const std::string& name : names) {
    const std::string path = folder + "/" + name;
    const std::uint64_t size = file_size(path, kKind);
    if (size > kMaxSmallFile || total + size > kMaxSmallFiles || !is_plain(name) ||
        files.size() == kMaxSmallFileCount) {
      log.warn(
          "{} ({} bytes) does not go along with the weights: too large, too many, or no plain "
          "name",
          printable(path), size);
      continue;
    }
    files[name] = read_file(path, ErrorKind::kCheckpoint, kMaxSmallFile);
    total += files[name].size();
  }
  return files;
}

}  // namespace moesaic
