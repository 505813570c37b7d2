// Who is behind? Each rank keeps its state in a small file under logs/ (core/rank_state); when a
// collective times out, the survivors read all of them and name the rank that did not come.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "core/clock.h"
#include "core/error.h"
#include "core/rank_state.h"

namespace moesaic {

/// A collective did not finish in its time.
class TimeOut : public Error {
 public:
  TimeOut(std::string message, std::string hint, std::vector<int> behind)
      : Error(ErrorKind::kCommunication, std::move(message), std::move(hint)),
        behind_(std::move(behind)) {}

  /// Ranks of the job that had not come: in their logs the cause is to be found. Empty when it is
  /// not known which.
  const std::vector<int>& behind() const { return behind_; }

 private:
  std::vector<int> behind_;
};

class Watchdog {
 public:
  struct Options {
    std::string folder;  // exists; "" = keep no files
    int rank = 0;
    int size = 1;
    std::string thread;  // of this rank, that has files of its own; "" = the one that trains
  };

  explicit Watchdog(const Options& options);

  const Options& options() const { return options_; }

  /// This rank enters the collective `label` of group `group`.
  void enter(const std::string& group, const std::string& label);
  /// This rank begins step `step`, from 1.
  void at_step(std::int64_t step);
  /// A long local phase goes on (evaluation, tokenising): not stuck. Cheap: writes at most twice a
  /// second.
  void alive();

  /// True when another rank moved since the last call (false on the first): a time-out should wait
  /// on.
  bool others_moved();

  struct Report {
    std::string text;         // for an error message: each rank's last collective, who is behind
    std::vector<int> behind;  // ranks that entered fewer collectives than this one
  };
  Report report() const;

 private:
  void write();
  std::string path(int rank) const;
  /// Of all ranks, of this one what it would write now.
  std::vector<std::optional<RankState>> states() const;

  Options options_;
  RankStateFile file_;
  RankState mine_;
  Stopwatch since_write_;
  std::vector<std::uint64_t> seen_;  // counters of all ranks at the last others_moved()
};

}  // namespace moesaic
