// Where the ranks of a job are, by the state files that they keep (core/rank_state).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/rank_state.h"

namespace moesaic::cli {

struct JobState {
  std::vector<std::optional<RankState>> ranks;  // nullopt: nothing said yet
  std::uint64_t signs = 0;                      // of life, of all ranks and their threads

  /// The last step that a rank was in; 0 = none has begun.
  std::int64_t step() const;
  /// Ranks that have not come to the collective where others are, in order; empty when it is not
  /// known who keeps the others waiting.
  std::vector<int> behind() const;
};

/// The state files of one attempt: those that an earlier one left there do not count until they are
/// written again.
class StateFiles {
 public:
  /// `logs`: the folder, which need not be there yet.
  StateFiles(std::string logs, int ranks);

  JobState look() const;

 private:
  using States = std::map<std::string, RankState>;  // by the name of the file
  States all() const;

  std::string logs_;
  int ranks_;
  States before_;
};

}  // namespace moesaic::cli
