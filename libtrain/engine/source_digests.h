// Whether data are the same, by the digests that describe them (BuiltCorpora::description).
#pragma once

#include <string>

#include "core/json.h"

namespace moesaic {

/// The path of the first of `sources` that has a file of `others`, whatever its name, or is one of
/// them; "" = none.
std::string shared_source(const Json& sources, const Json& others);

/// Of all that the sources hold: what a ledger knows its data by. The order of the sources is
/// nothing to it.
std::string digest_of_sources(const Json& sources);

}  // namespace moesaic
