// RoundJournal: what a coordinator has done, one line of JSON an event, each with the digest of the
// line before it. A line counts once it is whole, so a coordinator that is killed while it writes
// goes on from the line before.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/json.h"

namespace moesaic {

class RoundJournal {
 public:
  /// Makes the file, or reads what is there; a last line that was cut off is removed. Only one
  /// process may have it. Error(kCheckpoint) naming the line where the chain is broken.
  explicit RoundJournal(std::string path);

  /// The name of this run, which no other one has: what messages of silos are bound to.
  std::string run() const;
  /// {"event": ..., "round": ..., ...}, the oldest first.
  const std::vector<Json>& events() const { return events_; }
  /// Those of a kind in a round.
  std::vector<Json> find(const std::string& event, std::int64_t round) const;
  /// The newest round with such an event, -1 without one.
  std::int64_t last(const std::string& event) const;

  /// On the disk when this returns. Error(kCheckpoint) when that cannot be.
  void append(Json event);

 private:
  void read_line(const std::string& line);

  std::string path_;
  std::vector<Json> events_;
  std::string head_;  // digest of the last line
};

}  // namespace moesaic
