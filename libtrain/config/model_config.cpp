#include "config/model_config.h"

#include <filesystem>

#include "config/gguf_config.h"
#include "config/no_model.h"
#include "core/fs.h"

namespace moesaic {

namespace {

// What the system cannot tell counts as nothing here: the caller says what it looked for.
std::optional<std::string> file_at(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::is_regular_file(path, ignored) ? std::optional(path) : std::nullopt;
}

// Links get lost in some ways to copy a run, and with them `latest`.
std::optional<std::string> config_of_last_step(const std::string& checkpoints) {
  std::error_code code;
  std::string last;
  std::filesystem::directory_iterator item(checkpoints, code);
  for (; !code && item != std::filesystem::directory_iterator(); item.increment(code)) {
    const std::string path = item->path().string();
    const std::string name = item->path().filename().string();
    const bool is_step = name.starts_with("step-") && !name.ends_with(".tmp");
    if (is_step && path > last && file_at(path + "/config.json")) last = path;
  }
  return last.empty() ? std::nullopt : std::optional(last + "/config.json");
}

}  // namespace

std::optional<std::string> find_model_config(const std::string& path) {
  if (is_gguf(path)) return path;
  for (const char* inside : {"/config.json", "/checkpoints/latest/config.json"})
    if (auto file = file_at(path + inside)) return file;
  return config_of_last_step(path + "/checkpoints");
}

std::optional<std::string> find_model_tokenizer(const std::string& path) {
  if (is_gguf(path)) return path;
  const auto config = find_model_config(path);
  if (!config) return std::nullopt;
  const std::string folder = std::filesystem::path(*config).parent_path().string();
  for (const char* inside : {"/tokenizer.json", "/hub/tokenizer.json"})
    if (auto file = file_at(folder + inside)) return file;
  return std::nullopt;
}

Json read_config_file(const std::string& file, ErrorKind kind) {
  if (is_gguf(file)) {
    const MappedFile mapped(file, kind);
    return gguf_config(read_gguf_header(mapped.bytes(), file));
  }
  constexpr std::size_t kMaxBytes = 4U << 20;
  Json config = read_json(file, kind, {.bytes = kMaxBytes});
  MOESAIC_CHECK(config.is_object(), kind, "{} holds no JSON object", file);
  return config;
}

Json read_model_config(const std::string& path) {
  const std::optional<std::string> file = find_model_config(path);
  if (!file) refuse_no_model(path);
  return read_config_file(*file, ErrorKind::kCheckpoint);
}

}  // namespace moesaic
