// fuzz: libtrain/core/{error,fs,path,json}.cpp libtrain/data/json_line.cpp
// A line of JSONL: what is accepted is what the parser of whole values finds there too.
#include "data/json_line.h"

#include "core/json.h"

namespace {

using moesaic::Json;

// A Json of the line; nullopt where the whole-value parser is stricter (a key twice, a limit).
std::optional<Json> parsed(std::string_view line) {
  try {
    return moesaic::parse_json(line, "line", moesaic::ErrorKind::kData, {.bytes = 1U << 22U});
  } catch (const moesaic::Error&) {
    return std::nullopt;
  }
}

void require(bool holds) {
  if (!holds) __builtin_trap();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view line(reinterpret_cast<const char*>(data), size);
  try {
    const moesaic::TextOrIds read = moesaic::read_text_or_ids_line(line, "line");
    const std::optional<Json> json = parsed(line);
    if (!json) return 0;
    require(json->contains("text") == read.text.has_value());
    require(json->contains("ids") != read.text.has_value());
    if (read.text) {
      require(json->at("text").get<std::string>() == *read.text);
    } else {
      require(json->at("ids").get<std::vector<std::uint32_t>>() == read.ids);
    }
  } catch (const moesaic::Error& error) {
    require(std::string_view(error.what()).size() < 400);
  }
  return 0;
}
