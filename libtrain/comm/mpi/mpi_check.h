// The debug option log.check_collectives: before a collective, all ranks of the group compare what
// they are about to call, so that a mismatch is an error with both sides named, not a hang or
// garbage.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "comm/mpi/mpi_operation.h"

namespace moesaic {

/// What a rank is about to call.
struct CollectiveCall {
  std::string kind = {};  // "all_reduce"
  std::string label = {};
  std::string detail = {};                   // dtype, operation, root: must agree
  std::int64_t count = 0;                    // elements (where rows travel: of one row): must agree
  std::vector<std::int64_t> send_rows = {};  // where rows travel: to each rank ...
  std::vector<std::int64_t> receive_rows =
      {};  // ... and from each rank: must match the peers' send_rows
};

class CollectiveChecker {
 public:
  /// Collective over `comm`: works on a duplicate, apart from what it checks.
  CollectiveChecker(MPI_Comm comm, std::string group, std::shared_ptr<MpiRuntime> runtime);

  /// Collective over the group. Throws on every rank when the calls differ.
  void compare(const CollectiveCall& call);

 private:
  std::vector<CollectiveCall> gather(const CollectiveCall& call);

  std::shared_ptr<MpiComm> comm_;
  std::string group_;
  std::shared_ptr<MpiRuntime> runtime_;
  int rank_ = 0;
  int size_ = 1;
};

}  // namespace moesaic
