// JSON values for architecture options, metrics and manifests; reading is bounded.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "core/error.h"

namespace moesaic {

using Json = nlohmann::ordered_json;  // keeps the order of keys, so files read as they were written

struct JsonLimits {
  std::size_t bytes = 64U << 20;   // of the text
  int depth = 32;                  // of nested arrays and objects
  std::size_t values = 2'000'000;  // of the whole text: a value takes up to 100 bytes of memory
  std::size_t members = 20'000;    // of one object: looking one up in a Json compares them all
  std::size_t token = 4U << 20;    // of one string, number or gap: the parser's errors quote it
};

/// Throws Error(kind) when `text` exceeds a limit that shows without parsing it: all but
/// `members`.
void check_json_text(std::string_view text, const std::string& where, ErrorKind kind,
                     const JsonLimits& limits);

/// Parses one JSON text. Throws Error(kind) that names `where` and the byte position; refuses
/// duplicate keys, invalid UTF-8 and what exceeds the limits.
Json parse_json(std::string_view text, const std::string& where, ErrorKind kind = ErrorKind::kData,
                const JsonLimits& limits = {});

/// As above, of a whole file.
Json read_json(const std::string& path, ErrorKind kind = ErrorKind::kData,
               const JsonLimits& limits = {});

/// At most `longest` bytes of a text that nobody vouches for, with '?' for what is no printable
/// ASCII.
std::string printable(std::string_view text, std::size_t longest = 200);

/// The reason in an error of the parser, which quotes the text: without its preamble, printable.
std::string json_reason(std::string_view what);

}  // namespace moesaic
