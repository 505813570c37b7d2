// The checkpoint that `latest` of a run folder leads to.
#pragma once

#include <optional>
#include <string>

namespace moesaic {

struct NewestCheckpoint {
  std::string name;  // of its folder: "step-00000100"
  double step = 0;
  double time = 0;   // when it was published, seconds since 1970 by the clock of the file system
  double bytes = 0;  // of its files
};

/// Nothing where there is none, or where it cannot be looked at.
std::optional<NewestCheckpoint> newest_checkpoint(const std::string& run_dir);

}  // namespace moesaic
