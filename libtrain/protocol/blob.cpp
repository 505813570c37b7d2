#include "protocol/blob.h"

#include <algorithm>

#include "core/json.h"
#include "core/path.h"
#include "identity/sha256.h"

namespace moesaic::sites {
namespace {

constexpr std::size_t kDigestDigits = 64;

bool is_digest(const std::string& text) {
  return text.size() == kDigestDigits && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

}  // namespace

Blob blob_of(const std::string& path, const std::function<void()>& alive) {
  identity::Sha256 hash;
  const std::uint64_t bytes = file_size(path);
  const std::uint64_t read = hash.update_from(path, bytes, alive);
  MOESAIC_CHECK(read == bytes, ErrorKind::kData, "{} has {} bytes, {} could be read", path, bytes,
                read);
  return {hash.hex(), bytes};
}

void check_blob(const Blob& blob, std::uint64_t most_bytes) {
  MOESAIC_CHECK(is_digest(blob.digest), ErrorKind::kData, "'{}' is no SHA-256 digest of a file",
                printable(blob.digest, kDigestDigits));
  MOESAIC_CHECK(blob.bytes >= 1 && blob.bytes <= most_bytes, ErrorKind::kData,
                "a file of {} bytes is announced, 1 to {} are allowed", blob.bytes, most_bytes);
}

}  // namespace moesaic::sites
