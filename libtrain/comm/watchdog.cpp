#include "comm/watchdog.h"

#include <unistd.h>

#include "core/host_name.h"

namespace moesaic {
namespace {

constexpr double kAliveSeconds = 0.5;

}  // namespace

Watchdog::Watchdog(const Options& options) : options_(options) {
  mine_.pid = ::getpid();
  mine_.host = host_name();
  if (options_.folder.empty()) return;
  file_ = RankStateFile(path(options_.rank));
  write();
}

void Watchdog::enter(const std::string& group, const std::string& label) {
  ++mine_.sequence;
  ++mine_.counter;
  mine_.where = format("'{}' of {}", label, group);
  write();
}

void Watchdog::at_step(std::int64_t step) {
  ++mine_.counter;
  mine_.step = step;
  write();
}

void Watchdog::alive() {
  ++mine_.counter;
  if (since_write_.seconds() > kAliveSeconds) write();
}

std::vector<std::optional<RankState>> Watchdog::states() const {
  std::vector<std::optional<RankState>> states;
  for (int rank = 0; rank < options_.size; ++rank)
    states.push_back(rank == options_.rank ? mine_ : read_rank_state(path(rank)));
  return states;
}

bool Watchdog::others_moved() {
  if (options_.folder.empty()) return false;
  const auto states = this->states();
  std::vector<std::uint64_t> now(states.size());
  bool moved = false;
  for (std::size_t i = 0; i < states.size(); ++i) {
    const bool other = static_cast<int>(i) != options_.rank;
    if (other && states[i]) now[i] = states[i]->counter;
    if (i < seen_.size() && now[i] > seen_[i]) moved = true;
  }
  seen_ = std::move(now);
  return moved;
}

Watchdog::Report Watchdog::report() const {
  if (options_.folder.empty()) {
    return {"no state files are kept, so the rank behind is not known", {}};
  }
  std::string text;
  const auto states = this->states();
  const double now = unix_time();
  for (int rank = 0; rank < options_.size; ++rank) {
    const auto& state = states[static_cast<std::size_t>(rank)];
    text += state ? format("\n  rank {}: collective {}, {}, last sign of life {:.1f} s ago", rank,
                           state->sequence, state->where, now - state->time)
                  : format("\n  rank {}: no readable state in {}", rank, path(rank));
  }
  const std::vector<int> behind = ranks_behind(states, mine_.sequence);
  const std::string head = behind.empty()
                               ? "no rank is behind: all entered a collective but not the same one"
                               : format("behind: rank {}", join(behind, ", "));
  return {head + text, behind};
}

void Watchdog::write() {
  since_write_.lap();
  mine_.time = unix_time();
  file_.write(mine_);
}

std::string Watchdog::path(int rank) const {
  return rank_state_file(options_.folder, rank, options_.thread);
}

}  // namespace moesaic
