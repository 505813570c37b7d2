#include "job_state.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

namespace fs = std::filesystem;

namespace moesaic::cli {

std::int64_t JobState::step() const {
  std::int64_t step = 0;
  for (const auto& rank : ranks)
    if (rank) step = std::max(step, rank->step);
  return step;
}

std::vector<int> JobState::behind() const {
  std::uint64_t furthest = 0;
  for (const auto& rank : ranks)
    if (rank) furthest = std::max(furthest, rank->sequence);
  return furthest > 0 ? ranks_behind(ranks, furthest) : std::vector<int>{};
}

StateFiles::StateFiles(std::string logs, int ranks)
    : logs_(std::move(logs)), ranks_(ranks), before_(all()) {}

StateFiles::States StateFiles::all() const {
  States states;
  std::error_code ended;
  for (fs::directory_iterator entry(logs_, ended), end; !ended && entry != end;
       entry.increment(ended)) {
    const std::string name = entry->path().filename().string();
    if (!name.starts_with("rank-") || !name.ends_with(".state")) continue;
    if (const auto state = read_rank_state(entry->path().string())) states.emplace(name, *state);
  }
  return states;
}

JobState StateFiles::look() const {
  JobState job{.ranks = std::vector<std::optional<RankState>>(static_cast<std::size_t>(ranks_))};
  States states = all();
  for (const auto& [name, old] : before_) {
    const auto found = states.find(name);
    if (found != states.end() && found->second == old) states.erase(found);
  }
  for (const auto& [name, state] : states) job.signs += state.counter + 1;
  for (int rank = 0; rank < ranks_; ++rank) {
    const auto found = states.find(fs::path(rank_state_file(logs_, rank)).filename().string());
    if (found != states.end()) job.ranks[static_cast<std::size_t>(rank)] = found->second;
  }
  return job;
}

}  // namespace moesaic::cli
