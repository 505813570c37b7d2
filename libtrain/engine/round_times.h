// Where the seconds of a round go, as the coordinator sees it: for its journal and its log.
#pragma once

#include <cstdint>
#include <string>

#include "core/format.h"
#include "core/json.h"

namespace moesaic {

struct RoundTimes {
  double first = 0;  // from the opening until the first change was here
  double last = 0;   // and until the last one was
  double check = 0;  // all looks at changes, while others still come
  double add = 0;    // from the changes to the next model
  double save = 0;   // its checkpoint and its file
  double offer = 0;  // digests of the file, for the journal and the silos
  double all = 0;    // from the opening until the next model is offered

  /// {"event": "time", "round": ..., "seconds": all, "first_s": ..., ...}
  Json event(std::int64_t round) const {
    return {{"event", "time"}, {"round", round}, {"seconds", all}, {"first_s", first},
            {"last_s", last},  {"check_s", check}, {"add_s", add}, {"save_s", save},
            {"offer_s", offer}};
  }
  std::string text() const {
    return format(
        "{:.2f} s: changes came after {:.2f} to {:.2f} s, {:.2f} to check them, {:.2f} to add "
        "them, {:.2f} to save the model, {:.2f} to offer it",
        all, first, last, check, add, save, offer);
  }
};

}  // namespace moesaic
