// What is in a GGUF file, for inspect.h.
#pragma once

#include <string>

#include "core/json.h"

namespace moesaic {

/// {"kind": "gguf", "path", "whole", "problem", "parameters", "metadata", "datasets"}: lists in the
/// metadata by their length, types of tensors as ggml names them. "unsupported" says why the
/// metadata describe no model that Moesaic knows.
Json inspect_gguf(const std::string& path);

}  // namespace moesaic
