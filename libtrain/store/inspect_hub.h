// What is in a file of safetensors or a Hugging Face folder, for inspect.h.
#pragma once

#include <string>

#include "core/json.h"

namespace moesaic {

/// {"kind": "safetensors", "path", "whole", "problem", "parameters", "metadata", "datasets"}
Json inspect_safetensors(const std::string& path);

/// {"kind": "hub", "path", "whole", "problem", "model_type", "parameters", "files": {name: {size}},
///  "datasets"}. "unsupported" says why config.json describes no model that Moesaic knows;
/// "parameters" then counts all values in the files.
Json inspect_hub(const std::string& path);

}  // namespace moesaic
