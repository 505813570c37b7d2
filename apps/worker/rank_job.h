// What the collective verbs share: MPI from its start to its end, where this rank computes, and the
// one place that catches: a rank that fails ends the whole job, and one rank says why.
#pragma once

#include <functional>
#include <string>

#include "comm/mpi/mpi_world.h"
#include "core/error.h"
#include "core/log.h"
#include "device.h"

namespace moesaic::worker {

/// Where this rank computes and reports.
struct RankPlace {
  Communicator world;
  at::Device device = at::kCPU;
  Log log;
  int threads = 1;
};

class RankJob {
 public:
  struct Options {
    std::string memory_hint;  // what a user does who is out of memory
    MpiThreads mpi_threads = MpiThreads::kInTurn;
  };
  struct PlaceOptions {
    std::string device = "cpu";
    CommOptions comm;
    std::int64_t threads = 0;  // 0 = OMP_NUM_THREADS, or a share of the cores
    std::string run_dir;       // holds logs and the watchdog's files; "" = there are none
  };

  /// Collective over all processes of the job.
  explicit RankJob(Options options)
      : options_(std::move(options)), session_(options_.mpi_threads) {}

  const MpiSession& session() const { return session_; }
  /// Collective over all ranks.
  RankPlace place(const PlaceOptions& options) const;
  /// From here on an error is also written into the run folder, where the launcher finds it.
  void report_to(std::string run_dir) { run_dir_ = std::move(run_dir); }

  /// The exit code of `work`. When it throws, this rank says why, unless another one shares the
  /// error and says it, and the job ends.
  int run(const std::function<int()>& work) const;

 private:
  void tell(const Error& error) const;
  [[noreturn]] void end(const Error& error) const;

  Options options_;
  std::string run_dir_;
  MpiSession session_;
};

}  // namespace moesaic::worker
