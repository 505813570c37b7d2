#include "federated/rounds.h"

#include <algorithm>
#include <numeric>

#include "core/random.h"

namespace moesaic {

std::vector<std::size_t> drawn_silos(std::uint64_t seed, std::int64_t round, std::size_t silos,
                                     std::optional<std::int64_t> clients) {
  const std::size_t count = clients ? std::min(silos, static_cast<std::size_t>(*clients)) : silos;
  std::vector<std::size_t> drawn(count);
  std::iota(drawn.begin(), drawn.end(), 0);
  if (count == silos) return drawn;
  const RandomKey key(seed, RandomStream::kSample, static_cast<std::uint64_t>(round),
                      "federated.clients_per_round");
  for (std::size_t& silo : drawn) silo = permuted(silo, silos, key);
  std::sort(drawn.begin(), drawn.end());
  return drawn;
}

std::vector<Turn> turns_of(const std::vector<std::size_t>& drawn, std::size_t slots,
                           std::size_t silos) {
  if (slots == silos) {
    Turn turn(slots);
    for (const std::size_t silo : drawn) turn[silo] = silo;
    return {turn};
  }
  std::vector<Turn> turns((drawn.size() + slots - 1) / slots, Turn(slots));
  for (std::size_t i = 0; i < drawn.size(); ++i) turns[i / slots][i % slots] = drawn[i];
  return turns;
}

}  // namespace moesaic
