// Which silos take part in a round, and on which slots of the job in which turn. Pure functions: a
// round that is done again has the same.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace moesaic {

/// The silos of a round, numbered from 1: all, or `clients` of them, drawn without replacement, by
/// seed and round. Ascending.
std::vector<std::size_t> drawn_silos(std::uint64_t seed, std::int64_t round, std::size_t silos,
                                     std::optional<std::int64_t> clients);

/// What each slot trains in one turn: a silo, or nothing.
using Turn = std::vector<std::optional<std::size_t>>;

/// `drawn` spread over the slots of a job. Where there are as many slots as silos, each silo has
/// its own one.
std::vector<Turn> turns_of(const std::vector<std::size_t>& drawn, std::size_t slots,
                           std::size_t silos);

}  // namespace moesaic
