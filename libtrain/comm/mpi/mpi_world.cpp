#include "comm/mpi/mpi_world.h"

#include <array>
#include <cstdlib>
#include <exception>
#include <string>

#include "comm/mpi/mpi_backend.h"
#include "core/error.h"

namespace moesaic {
namespace {

/// Plain `srun` without a PMI that this MPI speaks starts N jobs of one rank, without a word. Our
/// own launcher starts one rank on purpose, also inside a batch script, which has SLURM_NTASKS.
void refuse_silent_singletons(int size) {
  if (size > 1 || std::getenv("MOESAIC_LAUNCHER") != nullptr) return;
  for (const char* name :
       {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS", "SLURM_NTASKS"}) {
    const char* value = std::getenv(name);
    if (value == nullptr) continue;
    const long expected = std::strtol(value, nullptr, 10);
    MOESAIC_CHECK(expected <= 1, ErrorKind::kCommunication,
                  "{} says that {} processes were started, but MPI connects only this one; use "
                  "`srun --mpi=pmix` or `mpirun` of the MPI that Moesaic was built with ({})",
                  name, expected, MpiSession::library_version());
    return;  // the nearest launcher has the word
  }
}

}  // namespace

MpiSession::MpiSession(MpiThreads threads) : exceptions_(std::uncaught_exceptions()) {
  const int wanted =
      threads == MpiThreads::kAtTheSameTime ? MPI_THREAD_MULTIPLE : MPI_THREAD_SERIALIZED;
  int provided = 0;
  // A process that nobody launched would start a daemon of Open MPI's, which needs ssh, a network
  // and a short host name, to be able to spawn others. It has none to spawn; for others this says
  // nothing.
  ::setenv("OMPI_MCA_ess_singleton_isolated", "1", 0);
  check_mpi(MPI_Init_thread(nullptr, nullptr, wanted, &provided), "MPI_Init_thread");
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
  MPI_Comm_size(MPI_COMM_WORLD, &size_);
  refuse_silent_singletons(size_);
  MPI_Comm local = MPI_COMM_NULL;
  check_mpi(MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &local),
            "MPI_Comm_split_type");
  MPI_Comm_rank(local, &local_rank_);
  MPI_Comm_size(local, &local_size_);
  MPI_Comm_free(&local);
}

MpiSession::~MpiSession() {
  // MPI_Finalize waits for the other ranks, which may never come once this one has failed. Leaving
  // without it makes the launcher end the job.
  if (std::uncaught_exceptions() == exceptions_) MPI_Finalize();
}

Communicator MpiSession::world(const CommOptions& options, Watchdog::Options watchdog) const {
  watchdog.rank = rank_;
  watchdog.size = size_;
  const auto runtime = std::make_shared<MpiRuntime>(options, watchdog);
  return Communicator(make_mpi_backend(MpiComm::duplicate(MPI_COMM_WORLD), "world", runtime));
}

void MpiSession::abort(int exit_code) const {
  MPI_Abort(MPI_COMM_WORLD, exit_code);
  std::abort();
}

std::string MpiSession::library_version() {
  std::array<char, MPI_MAX_LIBRARY_VERSION_STRING> text{};
  int length = 0;
  MPI_Get_library_version(text.data(), &length);
  const std::string whole(text.data(), static_cast<std::size_t>(length));
  return whole.substr(0, whole.find(','));
}

}  // namespace moesaic
