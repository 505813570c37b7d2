// Scalars of the YAML 1.2 core schema: what a piece of text means. `1e-06` is a float, `yes` is
// text, `010` is ten, `1_000` is text.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "config/yaml_reader.h"
#include "core/json.h"

namespace moesaic {

std::optional<bool> scalar_bool(std::string_view text);               // true True TRUE false ...
std::optional<std::int64_t> scalar_int(std::string_view text);        // decimal, 0x, 0o
std::optional<std::uint64_t> scalar_unsigned(std::string_view text);  // the same, up to 2^64 - 1
/// Any number; infinite when it is `.inf` or out of range, NaN for `.nan`.
std::optional<double> scalar_number(std::string_view text);

/// `text` as YAML: plain when that reads back as the same text, in double quotes otherwise.
/// Throws Error(kRecipe) for text that is not UTF-8.
std::string yaml_text(const std::string& text);

/// Shortest decimal form that reads back as the same number.
std::string yaml_number(double value);

/// A whole tree as JSON; numbers as above, quoted scalars as text. `key` names it in problems.
Json to_json(const YamlNode& node, const std::string& key, ProblemList& problems);

}  // namespace moesaic
