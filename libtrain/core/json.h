// JSON values for architecture options, metrics and manifests; reading is bounded.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "core/error.h"

namespace moesaic {

using Json = nlohmann::ordered_json;  // keeps the order of keys, so files read as they were written

struct JsonLimits {
  std::size_t bytes = 64U << 20;  // of the text
  int depth = 32;                 // of nested arrays and objects
};

/// Parses one JSON text. Throws Error(kind) that names `where` and the byte position; refuses
/// duplicate keys, invalid UTF-8 and what exceeds the limits.
Json parse_json(std::string_view text, const std::string& where, ErrorKind kind = ErrorKind::kData,
                const JsonLimits& limits = {});

/// As above, of a whole file.
Json read_json(const std::string& path, ErrorKind kind = ErrorKind::kData,
               const JsonLimits& limits = {});

}  // namespace moesaic
