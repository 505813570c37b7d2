// One line of a JSONL corpus, read without building a JSON value: {"text": "..."} or {"ids": [..]}.
#pragma once

#include <cstdint>
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

}  // namespace moesaic
