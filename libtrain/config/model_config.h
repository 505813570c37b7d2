// config.json of a model, found where its weights are.
#pragma once

#include <optional>
#include <string>

#include "core/json.h"

namespace moesaic {

/// Path of the config.json of a Hugging Face folder or checkpoint, or of the newest checkpoint of a
/// run folder, or of a GGUF file, which says the same; nullopt when there is none.
std::optional<std::string> find_model_config(const std::string& path);

/// What a recipe's `tokenizer` says for the tokenizer of that model; nullopt when it comes without.
std::optional<std::string> find_model_tokenizer(const std::string& path);

/// A JSON object of at most 4 MB, or what a GGUF file says; Error(kind) when `file` holds anything
/// else.
Json read_config_file(const std::string& file, ErrorKind kind);

/// Content of the file that find_model_config finds. Error(kCheckpoint) when there is none.
Json read_model_config(const std::string& path);

}  // namespace moesaic
