#include "core/json_events.h"

namespace moesaic {

bool JsonEvents::parse_error(std::size_t, const std::string&,
                             const nlohmann::detail::exception& error) {
  fail("invalid JSON: " + json_reason(error.what()));
}

void JsonEvents::read(std::string_view text, const JsonLimits& limits) {
  check_json_text(text, where_, kind_, limits);
  Json::sax_parse(text, this);
}

void JsonEvents::fail(const std::string& what) const {
  throw Error(kind_, format("{}: {}", where_, printable(what, 400)));
}

}  // namespace moesaic
