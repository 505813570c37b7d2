// Whether data are the same, by the digests that describe them (BuiltCorpora::description).
#pragma once

#include <string>

#include "core/json.h"

namespace moesaic {

/// The path of the first of `sources` that has a file of `others`, whatever its name, or is one of
/// them; "" = none.
std::string shared_source(const Json& sources, const Json& others);

/// The path of the first of `sources` that has a file whose content was there before, under
/// whatever name; "" = none. Files without content are not looked at.
std::string repeated_source(const Json& sources);

/// All that a run trains on, of a description: new data and old ones, of each of its tasks.
Json training_sources(const Json& description);

/// What is left of a description without that, and without validation data that are among it:
/// whoever knows all but one unit of the data could tell by their digests whether it was there.
Json without_training(const Json& description);

/// Of all that these hold: what a ledger knows its data by. The order of the sources is nothing to
/// it, nor how many tasks have one.
std::string digest_of_training(const Json& description);

}  // namespace moesaic
