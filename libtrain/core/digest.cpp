#include "core/digest.h"

#include <xxhash.h>

#include <cstdint>
#include <fstream>
#include <vector>

#include "core/error.h"

namespace moesaic {

struct Digest::State {
  XXH3_state_t* xxh = XXH3_createState();
  State() { XXH3_128bits_reset(xxh); }
  ~State() { XXH3_freeState(xxh); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
};

Digest::Digest() : state_(std::make_unique<State>()) {}
Digest::~Digest() = default;
Digest::Digest(Digest&&) noexcept = default;
Digest& Digest::operator=(Digest&&) noexcept = default;

Digest& Digest::update(const void* data, std::size_t bytes) {
  XXH3_128bits_update(state_->xxh, data, bytes);
  return *this;
}

std::string Digest::hex() const {
  const XXH128_hash_t hash = XXH3_128bits_digest(state_->xxh);
  return format("{:016x}{:016x}", std::uint64_t{hash.high64}, std::uint64_t{hash.low64});
}

std::string digest_of(const void* data, std::size_t bytes) {
  return Digest().update(data, bytes).hex();
}
std::string digest_of(std::string_view bytes) { return digest_of(bytes.data(), bytes.size()); }

std::string digest_of_file(const std::string& path, const std::function<void()>& alive) {
  std::ifstream file(path, std::ios::binary);
  MOESAIC_CHECK(file.good(), ErrorKind::kCheckpoint, "cannot read {}", path);
  Digest digest;
  std::vector<char> buffer(1U << 20);
  while (file.read(buffer.data(), static_cast<std::streamsize>(buffer.size())), file.gcount() > 0) {
    digest.update(buffer.data(), static_cast<std::size_t>(file.gcount()));
    if (alive) alive();
  }
  MOESAIC_CHECK(file.eof(), ErrorKind::kCheckpoint, "cannot read {} to its end", path);
  return digest.hex();
}

}  // namespace moesaic
