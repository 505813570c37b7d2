// Units: the units of privacy of a data set, as the steps of a private run take them.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "data/batch.h"

namespace moesaic {

class Units {
 public:
  struct Drawn {
    std::int64_t unit = 0;
    std::int64_t example = 0;  // its number within the step
  };

  virtual ~Units() = default;
  /// They are numbered in the order of the sources, by the first place that each has.
  virtual std::int64_t size() const = 0;
  /// Those that have a place in the first `sources` sources: they have the first numbers.
  virtual std::int64_t in_first(std::size_t sources) const = 0;
  /// How large one is: its sequences, or images, and what of it goes into the model.
  virtual std::int64_t sequences(std::int64_t unit) const = 0;
  virtual std::int64_t inputs(std::int64_t unit) const = 0;
  /// What messages call its place: "sequence 3 of a.jsonl".
  virtual std::string where(std::int64_t unit) const = 0;
  /// Of each unit, made of its own content alone; equal ones are told apart by how many came before
  /// (distinct_names). Reads all data.
  virtual std::vector<std::uint64_t> names() const = 0;
  /// Units whole and in this order, each an example whose draws are its own (kOwnDraws).
  virtual Batch batch(std::span<const Drawn> drawn) const = 0;
};

/// Equal fingerprints told apart by how many came before: which of them comes or goes makes no
/// difference to the names of the others.
std::vector<std::uint64_t> distinct_names(const std::vector<std::uint64_t>& fingerprints);

}  // namespace moesaic
