// XXH3-128, the digest of checkpoints and caches (detects accidents, not attackers).
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace moesaic {

/// Incremental digest: update any number of times, then hex().
class Digest {
 public:
  Digest();
  ~Digest();
  Digest(Digest&&) noexcept;
  Digest& operator=(Digest&&) noexcept;

  Digest& update(const void* data, std::size_t bytes);
  Digest& update(std::string_view bytes) { return update(bytes.data(), bytes.size()); }

  /// 32 lower-case hexadecimal digits, high half first (as `xxhsum -H2` prints them).
  std::string hex() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string digest_of(const void* data, std::size_t bytes);
std::string digest_of(std::string_view bytes);

/// Digest of a whole file, read in blocks; `alive` is called after each. Throws Error(kCheckpoint)
/// when it cannot be read.
std::string digest_of_file(const std::string& path, const std::function<void()>& alive = {});

}  // namespace moesaic
