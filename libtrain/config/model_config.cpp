#include "config/model_config.h"

#include <filesystem>

#include "config/gguf_config.h"
#include "config/no_model.h"
#include "core/fs.h"

namespace moesaic {

std::optional<std::string> find_model_config(const std::string& path) {
  if (is_gguf(path)) return path;
  for (const char* inside : {"config.json", "checkpoints/latest/config.json"}) {
    const std::filesystem::path file = std::filesystem::path(path) / inside;
    std::error_code ignored;
    if (std::filesystem::is_regular_file(file, ignored)) return file.string();
  }
  return std::nullopt;
}

std::optional<std::string> find_model_tokenizer(const std::string& path) {
  if (is_gguf(path)) return path;
  const auto config = find_model_config(path);
  if (!config) return std::nullopt;
  for (const char* inside : {"tokenizer.json", "hub/tokenizer.json"}) {
    const std::filesystem::path file = std::filesystem::path(*config).parent_path() / inside;
    std::error_code ignored;
    if (std::filesystem::is_regular_file(file, ignored)) return file.string();
  }
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
