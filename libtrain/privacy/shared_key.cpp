#include "privacy/shared_key.h"

#include <ATen/ops/zeros.h>

#include <algorithm>
#include <span>

namespace moesaic {

SecretKey shared_key(const Communicator& world, std::optional<std::uint64_t> seed) {
  if (seed) return SecretKey::from_seed(*seed);
  constexpr auto kBytes = static_cast<std::int64_t>(SecretKey::kBytes);
  at::Tensor bytes = at::zeros({kBytes}, at::kByte);
  const auto view = std::as_writable_bytes(std::span<std::uint8_t, SecretKey::kBytes>(
      bytes.mutable_data_ptr<std::uint8_t>(), SecretKey::kBytes));
  if (world.is_chief()) {
    const SecretKey own = SecretKey::from_system();
    std::copy(own.bytes().begin(), own.bytes().end(), view.begin());
  }
  world.broadcast(bytes, 0, "privacy: key");
  const SecretKey key(view);
  bytes.zero_();
  return key;
}

}  // namespace moesaic
