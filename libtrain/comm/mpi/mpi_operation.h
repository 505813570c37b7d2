// MpiRuntime: what all communicators of one MPI session share: the collectives under way, waiting
// for them with a time-out, and the watchdog. Every collective is non-blocking, so that a lost rank
// becomes an error and not a hang. Used by one thread at a time.
#pragma once

#include <ATen/core/Tensor.h>
#include <mpi.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "comm/backend.h"
#include "comm/mpi/mpi_handles.h"
#include "comm/trace_span.h"
#include "comm/watchdog.h"

namespace moesaic {

/// One collective under way and everything that MPI reads or writes until it ends.
struct MpiOperation {
  std::shared_ptr<const MpiComm> comm = {};
  std::string group = {};
  std::string label = {};
  int rank = 0;
  int size = 1;
  std::vector<MPI_Request> requests = {};
  std::vector<at::Tensor> tensors = {};
  /// Runs when all requests are done; it may start the next stage.
  std::function<void(MpiOperation&)> then = {};
  /// Until it was seen to be done, which MPI shows only when it is asked.
  AsyncSpan span = {};

  /// "collective 'x' of group world (rank 1 of 4)"
  std::string where() const;
};

class MpiRuntime {
 public:
  MpiRuntime(const CommOptions& options, const Watchdog::Options& watchdog)
      : options_(options), watchdog_(watchdog) {}
  ~MpiRuntime();
  MpiRuntime(const MpiRuntime&) = delete;
  MpiRuntime& operator=(const MpiRuntime&) = delete;

  const CommOptions& options() const { return options_; }
  Watchdog& watchdog() { return watchdog_; }

  /// Takes over an operation whose requests were started.
  void add(const std::shared_ptr<MpiOperation>& operation) { pending_.push_back(operation); }

  /// Blocks until `operation` is done; Error(kCommunication) after the time-out.
  void wait(MpiOperation& operation);

  /// Lets all that is under way advance.
  void progress();

 private:
  /// Advances `operation`; true when it is done. Sets `moved` when anything was completed.
  static bool test(MpiOperation& operation, bool& moved);
  /// Advances all that is under way; true when anything was completed.
  bool poll();
  [[noreturn]] void time_out(const MpiOperation& operation, double seconds) const;

  CommOptions options_;
  Watchdog watchdog_;
  // Also holds what a caller dropped without waiting: MPI may still write into its tensors.
  std::vector<std::shared_ptr<MpiOperation>> pending_;
};

}  // namespace moesaic
