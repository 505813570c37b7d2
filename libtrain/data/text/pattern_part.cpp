#include "data/text/pattern_part.h"

namespace moesaic {

Pattern pattern_of(const JsonPart& part) {
  if (part.has("Regex")) return regex_pattern(Regex(part.text("Regex"), part.where()));
  if (part.has("String")) return literal_pattern(part.text("String"));
  part.fail("must be {\"Regex\": ...} or {\"String\": ...}");
}

}  // namespace moesaic
