// MpiRuntime: what all communicators of one MPI session share: the collectives under way, waiting
// for them with a time-out, and the watchdog. Every collective is non-blocking, so that a lost rank
// becomes an error and not a hang. Used by one thread at a time.
#pragma once

#include <ATen/core/Tensor.h>
#include <mpi.h>

#include <memory>
#include <string>
#include <vector>

#include "comm/backend.h"
#include "comm/mpi/mpi_handles.h"
#include "comm/watchdog.h"

namespace moesaic {

/// One collective under way and everything that MPI reads or writes until it ends.
struct MpiOperation {
  std::string group = {};
  std::string label = {};
  int rank = 0;
  int size = 1;
  std::vector<MPI_Request> requests = {};
  std::vector<at::Tensor> tensors = {};
  std::vector<MpiBytes> types = {};
  std::vector<std::vector<int>> counts = {};

  /// "collective 'x' of group world (rank 1 of 4)"
  std::string where() const;
};

class MpiRuntime {
 public:
  struct Options {
    CommOptions comm;
    Watchdog::Options watchdog;
    std::int64_t max_count = 0x7fffffff;  // of elements in one MPI call; tests lower it
  };

  explicit MpiRuntime(const Options& options) : options_(options), watchdog_(options.watchdog) {}

  const Options& options() const { return options_; }
  Watchdog& watchdog() { return watchdog_; }

  /// Takes over an operation whose requests were started.
  void add(const std::shared_ptr<MpiOperation>& operation) { pending_.push_back(operation); }

  /// Blocks until `operation` is done; Error(kCommunication) after the time-out.
  void wait(MpiOperation& operation);

  /// Lets MPI move data of what is under way.
  void progress();

 private:
  bool test(MpiOperation& operation);
  [[noreturn]] void time_out(const MpiOperation& operation, double seconds) const;

  Options options_;
  Watchdog watchdog_;
  // Also holds what a caller dropped without waiting: MPI may still write into its tensors.
  std::vector<std::shared_ptr<MpiOperation>> pending_;
};

}  // namespace moesaic
