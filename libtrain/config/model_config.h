// config.json of a model, found where its weights are.
#pragma once

#include <optional>
#include <string>

#include "core/json.h"

namespace moesaic {

/// Path of the config.json of a Hugging Face folder or checkpoint, or of the newest checkpoint of a
/// run folder; nullopt when there is none.
std::optional<std::string> find_model_config(const std::string& path);

/// Its content. Error(kCheckpoint) when there is none, or when it is no JSON object.
Json read_model_config(const std::string& path);

}  // namespace moesaic
