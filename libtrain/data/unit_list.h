// UnitList: whose the training sequences are. A unit of privacy is what is protected as a whole: a
// sequence, a document, or all of a user's.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "data/sequences.h"

namespace moesaic {

/// Where a sequence is.
struct SequencePlace {
  std::size_t source = 0;
  std::int64_t index = 0;
};

class UnitList {
 public:
  /// `unit`: sequence | document | user; the sequences of the last two are of one document each, in
  /// the order of the file (Sequences::per_document). A user has one name in all sources.
  /// Error(kData), naming the source, where a document of theirs has no user.
  UnitList(const std::string& unit, const std::vector<Sequences>& sources);

  std::int64_t size() const { return std::ssize(firsts_) - 1; }
  /// The sequences of a unit, one at least, ascending.
  std::span<const SequencePlace> sequences(std::int64_t unit) const;

  /// A number that is made of the unit's tokens alone, whatever other units there are: what draws
  /// of it are keyed by, which then change for no unit when another one comes or goes.
  std::uint64_t fingerprint(std::int64_t unit, const std::vector<Sequences>& sources) const;
  /// Of all units, equal ones told apart (data/units.h). Reads all tokens.
  std::vector<std::uint64_t> distinct_fingerprints(const std::vector<Sequences>& sources) const;

 private:
  std::vector<std::int64_t> firsts_;  // of each unit, in places_; and their number
  std::vector<SequencePlace> places_;
};

}  // namespace moesaic
