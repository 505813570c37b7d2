// The secret from which the noise of a run is drawn: the same on all ranks, never written.
#pragma once

#include <cstdint>
#include <optional>

#include "comm/communicator.h"
#include "core/secret_key.h"

namespace moesaic {

/// A new key of the chief's operating system, or with `seed` (tests) the key of that seed.
/// Collective over world.
SecretKey shared_key(const Communicator& world, std::optional<std::uint64_t> seed);

}  // namespace moesaic
