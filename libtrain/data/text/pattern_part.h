// The patterns of a tokenizer.json: {"Regex": "..."} or {"String": "..."}.
#pragma once

#include "data/text/json_fields.h"
#include "data/text/split.h"

namespace moesaic {

Pattern pattern_of(const JsonPart& part);

}  // namespace moesaic
