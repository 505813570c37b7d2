// SHA-256 by OpenSSL, in hexadecimal as `sha256sum` prints it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace moesaic::identity {

/// Incremental: update any number of times, then hex() once.
class Sha256 {
 public:
  Sha256();
  ~Sha256();

  void update(std::string_view bytes);
  /// The first `bytes` of a file, or all of it where it is shorter: how many were read.
  /// Error(kData) when it cannot be read. `alive` is called after each block.
  std::uint64_t update_from(const std::string& path, std::uint64_t bytes,
                            const std::function<void()>& alive = {});
  /// 64 lower-case digits.
  std::string hex();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string sha256_of(std::string_view bytes);

}  // namespace moesaic::identity
