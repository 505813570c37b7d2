#include "config/model_config.h"

#include <filesystem>

namespace moesaic {

std::optional<std::string> find_model_config(const std::string& path) {
  for (const char* inside : {"config.json", "checkpoints/latest/config.json"}) {
    const std::filesystem::path file = std::filesystem::path(path) / inside;
    std::error_code ignored;
    if (std::filesystem::is_regular_file(file, ignored)) return file.string();
  }
  return std::nullopt;
}

Json read_config_file(const std::string& file, ErrorKind kind) {
  constexpr std::size_t kMaxBytes = 4U << 20;
  Json config = read_json(file, kind, {.bytes = kMaxBytes});
  MOESAIC_CHECK(config.is_object(), kind, "{} holds no JSON object", file);
  return config;
}

Json read_model_config(const std::string& path) {
  const std::optional<std::string> file = find_model_config(path);
  if (!file) {
    throw Error(ErrorKind::kCheckpoint, format("no model in {}: there is no config.json", path),
                "give a Hugging Face folder, a checkpoint folder or a run folder");
  }
  return read_config_file(*file, ErrorKind::kCheckpoint);
}

}  // namespace moesaic
