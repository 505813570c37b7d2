// One line of JSONL, read without building a JSON value: {"text": "..."} or {"ids": [..]}.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace moesaic {

/// The string "text" of the JSON object `line`; other keys are ignored. Error(kData) that begins
/// with `where` for invalid JSON, invalid UTF-8, or when "text" is missing, twice there or no
/// string.
std::string read_text_line(std::string_view line, const std::string& where);

/// The array "ids" of integers 0 to 2^32 - 1; as above.
std::vector<std::uint32_t> read_ids_line(std::string_view line, const std::string& where);

struct TextOrIds {
  std::optional<std::string> text;  // absent: the line has ids
  std::vector<std::uint32_t> ids;
};

/// A line with exactly one of the two keys; as above.
TextOrIds read_text_or_ids_line(std::string_view line, const std::string& where);

}  // namespace moesaic
