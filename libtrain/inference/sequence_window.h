// SequenceWindow: sequences that are scored together, and the order in which they are read.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "comm/communicator.h"

namespace moesaic {

/// Sequences of token ids, one after the other.
struct SequenceWindow {
  std::vector<std::int64_t> ids;
  std::vector<std::int64_t> offsets = {0};  // sequence i is ids [offsets[i], offsets[i+1])
  std::vector<std::int64_t> firsts = {};    // in it the first id that is asked for

  void add(std::span<const std::uint32_t> sequence, std::int64_t first = 0);
  std::int64_t sequences() const { return std::ssize(offsets) - 1; }
  std::int64_t length(std::int64_t sequence) const;
  /// The ids of a sequence.
  std::span<const std::int64_t> of(std::int64_t sequence) const;
};

/// Collective over world: the chief's window on every rank.
SequenceWindow broadcast(const Communicator& world, const SequenceWindow& window);

/// Sequences [first, first + count) of a window, all of which begin with the same `shared` ids, of
/// which none is asked for: these are read once. The choices of a question are such a group.
struct SequenceGroup {
  std::int64_t first = 0, count = 1, shared = 0;

  /// Ids to read.
  std::int64_t rows(const SequenceWindow& window) const;
  bool operator==(const SequenceGroup&) const = default;
};

/// All sequences in order, neighbours in a group where reading their beginning once saves work and
/// `may_share`. Sequences of one id or none have nothing to score and are in no group.
std::vector<SequenceGroup> groups_of(const SequenceWindow& window, bool may_share);

/// The groups of each micro-batch: at most `batch_tokens` ids, or one longer group. Longest first,
/// so that those of about the same length come together and the last round is a short one. The
/// layout has no say, so it changes no number.
std::vector<std::vector<SequenceGroup>> micro_batches(const SequenceWindow& window,
                                                      std::vector<SequenceGroup> groups,
                                                      std::int64_t batch_tokens);

}  // namespace moesaic
