#include "config/no_model.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <memory>
#include <string_view>
#include <vector>

#include "core/path.h"

namespace moesaic {
namespace {

constexpr ErrorKind kKind = ErrorKind::kCheckpoint;

/// "" for what cannot be read.
std::string first_bytes(const std::string& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "re"),
                                                             &std::fclose);
  if (file == nullptr) return "";
  std::array<char, 128> bytes{};
  return {bytes.data(), std::fread(bytes.data(), 1, bytes.size(), file.get())};
}

bool ends_with_any(const std::string& name, std::initializer_list<std::string_view> ends) {
  return std::any_of(ends.begin(), ends.end(), [&](auto end) { return name.ends_with(end); });
}

constexpr const char* kWanted =
    "give a Hugging Face folder, a GGUF file, a checkpoint folder or a run folder";
constexpr const char* kStart = "start a new run from its weights: model.from=PATH";
constexpr const char* kConvert =
    "convert them to safetensors first: .bin, .pt and .pth are never read, as they can run code";

NoModel find_in_file(const std::string& path) {
  const std::string bytes = first_bytes(path);
  const auto begins = [&](std::string_view magic) { return bytes.starts_with(magic); };
  const std::string json = bytes.substr(std::min(bytes.find_first_not_of(" \t\r\n"), bytes.size()));
  if (begins("version https://git-lfs"))
    return {"it is a pointer of Git LFS, not the file itself", "fetch the file: git lfs pull"};
  if (begins("MOESAICT")) return {"it is a token file", "`moesaic data inspect` shows it"};
  if (begins("GGUF")) return {"it is a GGUF file, not a checkpoint", kStart};
  if (begins("\x89HDF\r\n\x1a\n"))
    return {"it is one file of a checkpoint", "give the folder that it lies in"};
  if (begins("PK\x03\x04") || begins("\x80\x02") || ends_with_any(path, {".bin", ".pt", ".pth"}))
    return {"it holds pickled tensors", kConvert};
  if (path.ends_with(".safetensors"))
    return {"it is one file of weights", "give the folder that it lies in, with its config.json"};
  if (json.starts_with('{')) return {"it is a JSON file, no model", "give the folder of the model"};
  if (ends_with_any(path, {".yaml", ".yml"}))
    return {"it is a recipe, no model", "give its run folder; `moesaic validate` checks a recipe"};
  return {"it is a file, and no model of a format that is known", kWanted};
}

/// The first name that ends so; "" when there is none.
std::string first_with(const std::vector<std::string>& names,
                       std::initializer_list<std::string_view> ends) {
  const auto found = std::find_if(names.begin(), names.end(),
                                  [&](const auto& name) { return ends_with_any(name, ends); });
  return found == names.end() ? "" : *found;
}

NoModel find_in_folder(const std::string& path) {
  const std::vector<std::string> names = names_in(path, kKind);
  const auto has = [&](const char* name) {
    return std::binary_search(names.begin(), names.end(), name);
  };
  const bool has_config = has("config.json");
  if (has("manifest.json") && has_config)
    return {"it is a checkpoint, not a Hugging Face folder", kWanted};
  if (has("checkpoints") && is_folder(path + "/checkpoints", kKind))
    return names_in(path + "/checkpoints", kKind).empty()
               ? NoModel{"it is a run folder, and there is no checkpoint in it yet", ""}
               : NoModel{"it is a run folder, not a Hugging Face folder", kWanted};
  if (has("model.h5"))
    return {"it has no manifest.json: it is no whole checkpoint",
            "take another checkpoint, or fetch the folder again"};
  if (has("adapter_config.json"))
    return {"it holds an adapter, not a model",
            "give it with --adapter, beside the model that it belongs to"};
  if (const auto name = first_with(names, {".safetensors"}); !name.empty()) {
    if (!has_config) return {format("it holds {}, but no config.json", name), "fetch that, too"};
    if (has("model.safetensors") || has("model.safetensors.index.json"))
      return {"it is a Hugging Face folder, not a checkpoint", kStart};
    return {format("it holds {}, but neither model.safetensors nor its index", name),
            "fetch the folder again, or save the model with save_pretrained"};
  }
  if (const auto name = first_with(names, {".gguf"}); !name.empty())
    return {format("it holds {}", name), "give the GGUF file itself"};
  if (const auto name = first_with(names, {".bin", ".pt", ".pth", ".bin.index.json"});
      !name.empty())
    return {format("it has weights only as {}", name), kConvert};
  if (has("snapshots") && has("refs"))
    return {"it is a folder of the hub's cache", "give the folder in its snapshots/"};
  if (has_config) return {"it has a config.json, but no weights", "fetch them, too"};
  return {"there is no config.json with weights, no manifest.json and no checkpoints", kWanted};
}

}  // namespace

NoModel look_at_no_model(const std::string& path) {
  const PathKind kind = what_is_at(path, kKind);
  if (const std::string target = link_target(path); !target.empty() && kind == PathKind::kNothing)
    return {format("it is a link to {}, which is not there", target), "mend the link"};
  switch (kind) {
    case PathKind::kNothing:
      return {"there is no such folder or file, and no config.json",
              "check the path; relative paths start at the working folder"};
    case PathKind::kFile:
      return find_in_file(path);
    case PathKind::kFolder:
      return find_in_folder(path);
    default:
      return {"it is neither a file nor a folder", ""};
  }
}

void refuse_no_model(const std::string& path) {
  const NoModel found = look_at_no_model(path);
  throw Error(kKind, format("no model in {}: {}", path, found.what), found.hint);
}

}  // namespace moesaic
