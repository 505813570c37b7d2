// MergeTable: what two neighbouring tokens of a byte-pair encoding are joined to.
#pragma once

#include <bit>
#include <cstdint>
#include <vector>

namespace moesaic {

struct Merge {
  std::uint32_t rank = UINT32_MAX;  // the smallest goes first
  std::uint32_t id = 0;
  bool exists() const { return rank != UINT32_MAX; }
};

/// A hash table with open addressing, at most half full. Lookups are most of the work of an
/// encoder.
class MergeTable {
 public:
  explicit MergeTable(std::size_t merges)
      : slots_(std::bit_ceil(2 * merges + 2)), mask_(slots_.size() - 1) {}

  /// The last merge of a pair holds.
  void set(std::uint32_t left, std::uint32_t right, const Merge& merge) {
    Slot& slot = slots_[find(key(left, right))];
    slot = {key(left, right), merge};
  }
  Merge get(std::uint32_t left, std::uint32_t right) const {
    return slots_[find(key(left, right))].merge;
  }

 private:
  struct Slot {
    std::uint64_t key = UINT64_MAX;
    Merge merge;
  };

  static std::uint64_t key(std::uint32_t left, std::uint32_t right) {
    return std::uint64_t{left} << 32 | right;
  }
  // The slot of `key`, or the free one where it would be.
  std::size_t find(std::uint64_t key) const {
    std::size_t at = (key * 0x9E3779B97F4A7C15U) >> 32 & mask_;
    while (slots_[at].key != key && slots_[at].key != UINT64_MAX) at = (at + 1) & mask_;
    return at;
  }

  std::vector<Slot> slots_;
  std::size_t mask_;
};

}  // namespace moesaic
