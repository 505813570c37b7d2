// `moesaic data inspect --recipe`: what a recipe makes of its training data.
#pragma once

#include <string>

#include "config/recipe.h"
#include "core/json.h"
#include "core/log.h"

namespace moesaic {

/// Over all sources of data.train, or of all tasks: "documents" and their "tokens"; the "sequences"
/// that they give, what they hold of their data.sequence_length inputs each ("fill", 1 = all) and
/// their "targets"; documents that are "truncated", "cut" in chunks, or "skipped", among these the
/// lines that cannot be read. Everything is tokenised anew, in a folder for temporary files. Errors
/// as in training.
Json inspect_data(const Recipe& recipe, const Log& log);

/// The same as lines for people.
std::string readable_data(const Json& inspected);

}  // namespace moesaic
