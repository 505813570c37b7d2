// Whether data are the same, by the digests that describe them (BuiltCorpora::description).
#pragma once

#include <string>

#include "core/json.h"

namespace moesaic {

/// The path of the first of `sources` that has a file of `others`, whatever its name, or is one of
/// them; "" = none.
std::string shared_source(const Json& sources, const Json& others);

/// All that a run trains on, of a description: new data and old ones, of each of its tasks.
Json training_sources(const Json& description);

/// Of all that these hold: what a ledger knows its data by. The order of the sources is nothing to
/// it, nor how many tasks have one.
std::string digest_of_training(const Json& description);

}  // namespace moesaic
