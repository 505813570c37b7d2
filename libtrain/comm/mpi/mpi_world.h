// MpiSession: MPI from its start to its end, and the world communicator. One per process; every
// Communicator made from it must be gone before it ends.
#pragma once

#include "comm/communicator.h"
#include "comm/watchdog.h"

namespace moesaic {

/// How threads of a process may use MPI.
enum class MpiThreads {
  kInTurn,        // one at a time; costs nothing
  kAtTheSameTime  // MPI takes locks; it may refuse: Communicator::serves_threads()
};

class MpiSession {
 public:
  /// Collective over all processes of the job. Error(kCommunication) when the launcher started
  /// several processes that MPI does not connect.
  explicit MpiSession(MpiThreads threads = MpiThreads::kInTurn);
  ~MpiSession();
  MpiSession(const MpiSession&) = delete;
  MpiSession& operator=(const MpiSession&) = delete;

  int rank() const { return rank_; }
  int size() const { return size_; }
  /// Ranks on this machine, and which of them this is.
  int local_rank() const { return local_rank_; }
  int local_size() const { return local_size_; }

  /// Collective over all ranks. `watchdog.rank` and `.size` are filled in.
  Communicator world(const CommOptions& options, Watchdog::Options watchdog) const;

  /// Ends all ranks of the job with this exit code.
  [[noreturn]] void abort(int exit_code) const;

  /// "Open MPI v4.1.4 ..."
  static std::string library_version();

 private:
  int rank_ = 0;
  int size_ = 1;
  int local_rank_ = 0;
  int local_size_ = 1;
  int exceptions_ = 0;  // in flight when the session began
};

}  // namespace moesaic
