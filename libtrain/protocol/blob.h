// Blob: a file that crosses the wire, by its content.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace moesaic::sites {

/// Of a file, in one piece of the wire.
inline constexpr std::size_t kChunkBytes = 1U << 20;

struct Blob {
  std::string digest;       // SHA-256, 64 lower-case hexadecimal digits
  std::uint64_t bytes = 0;  // never 0

  bool operator==(const Blob&) const = default;
};

/// Of a whole file, which nobody writes meanwhile. `alive` is called after each piece that is read.
/// Error(kData) when it cannot be read.
Blob blob_of(const std::string& path, const std::function<void()>& alive = {});

/// Error(kData) for a malformed digest, no bytes, or more than allowed.
void check_blob(const Blob& blob, std::uint64_t most_bytes);

}  // namespace moesaic::sites
