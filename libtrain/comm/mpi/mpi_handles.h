// RAII for MPI handles. Internal to comm/mpi and
// comm/nccl.
#pragma once

#include <mpi.h>

#include <string>
#include <utility>

namespace moesaic {

/// Turns an MPI error code into Error(kCommunication). `what` names the call, the group and the
/// label.
void check_mpi(int code, const std::string& what);

/// A communicator of our own: errors are returned, not fatal. Freed unless MPI is finalized or an
/// error is in flight: MPI_Comm_free is collective, and the other ranks may not come.
class MpiComm {
 public:
  /// Collective over `parent`.
  static MpiComm duplicate(MPI_Comm parent);
  /// Collective over `parent`.
  static MpiComm split(MPI_Comm parent, int colour, int key);

  MpiComm(MpiComm&& other) noexcept : comm_(std::exchange(other.comm_, MPI_COMM_NULL)) {}
  MpiComm& operator=(MpiComm&&) = delete;
  ~MpiComm();

  MPI_Comm get() const { return comm_; }

 private:
  explicit MpiComm(MPI_Comm comm);
  MPI_Comm comm_;
};

}  // namespace moesaic
