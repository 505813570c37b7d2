// Whether a training that failed is started again: decided by how its attempts ended, and nothing
// else.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>

namespace moesaic::cli {

/// How one attempt ended.
struct AttemptEnd {
  int exit_code = 0;
  int rank = -1;           // that failed first, -1 = not known
  std::int64_t step = 0;   // the last that a rank was in; 0 = none had begun
  bool was_asked = false;  // somebody asked the job to stop

  bool operator==(const AttemptEnd&) const = default;
};

struct RestartDecision {
  bool restart = false;
  std::int64_t number = 0;  // of this restart, from 1
  bool same_again = false;  // the same failure at the same step as the attempt before
  std::string reason;       // why there is no restart; "" also where nothing has failed
};

class RestartPolicy {
 public:
  struct Options {
    std::int64_t restarts = 0;  // at most, within
    double window_s = 3600;
  };

  explicit RestartPolicy(const Options& options) : options_(options) {}

  /// What follows the end of an attempt at `now_s`, seconds of a clock that only moves forward.
  /// There is a restart but after a success or a stop; after a failure that comes again with
  /// certainty (command line, recipe, data, a budget that is spent); before step 1 is done; and
  /// when the restarts of the window are used up.
  RestartDecision after(const AttemptEnd& end, double now_s);

 private:
  std::string obstacle(const AttemptEnd& end) const;

  Options options_;
  std::deque<double> restarts_;     // when, within the window
  std::optional<AttemptEnd> last_;  // that failed
  std::int64_t number_ = 0;
  std::int64_t furthest_ = 0;  // step that any attempt was in
};

}  // namespace moesaic::cli
