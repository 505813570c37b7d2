// SHA-256 by OpenSSL: the digest of what crosses the wire, as `sha256sum` prints it.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "sites/messages.h"
#include "sites/openssl.h"

namespace moesaic::sites {

/// Incremental: update any number of times, then hex() once.
class Sha256 {
 public:
  Sha256();

  void update(std::string_view bytes);
  /// The first `bytes` of a file, or all of it where it is shorter: how many were read.
  /// Error(kData) when it cannot be read. `alive` is called after each block.
  std::uint64_t update_from(const std::string& path, std::uint64_t bytes,
                            const std::function<void()>& alive = {});
  std::string hex();

 private:
  HashPtr state_;
};

std::string sha256_of(std::string_view bytes);

/// A whole file, which nobody writes meanwhile.
Blob blob_of(const std::string& path, const std::function<void()>& alive = {});

}  // namespace moesaic::sites
