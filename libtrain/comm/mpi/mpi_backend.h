// MpiBackend: collectives of host tensors over MPI. Internal to comm/mpi; see mpi_world.h for its
// making.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "comm/backend.h"
#include "comm/mpi/mpi_check.h"
#include "comm/mpi/mpi_operation.h"

namespace moesaic {

/// The back end of `comm`: MpiBackend, or SingleBackend for a group of one. Collective over `comm`.
std::shared_ptr<CommBackend> make_mpi_backend(MpiComm comm, std::string name,
                                              std::shared_ptr<MpiRuntime> runtime);

class MpiBackend : public CommBackend {
 public:
  /// Collective over `comm`.
  MpiBackend(MpiComm comm, std::string name, std::shared_ptr<MpiRuntime> runtime);

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  const std::string& name() const override { return name_; }

  WorkState all_reduce(at::Tensor tensor, ReduceOp op, const std::string& label) override;
  WorkState all_gather(const at::Tensor& mine, const std::vector<std::int64_t>& rows,
                       at::Tensor all, const std::string& label) override;
  WorkState reduce_scatter(const at::Tensor& all, const std::vector<std::int64_t>& rows,
                           at::Tensor mine, const std::string& label) override;
  WorkState broadcast(at::Tensor tensor, int root, const std::string& label) override;
  WorkState all_to_all(const at::Tensor& rows, const std::vector<std::int64_t>& send_rows,
                       at::Tensor received, const std::vector<std::int64_t>& receive_rows,
                       const std::string& label) override;
  void barrier(const std::string& label) override;

  std::shared_ptr<CommBackend> split(int colour, const std::string& name) override;
  void progress() override { runtime_->progress(); }
  void at_step(std::int64_t step) override { runtime_->watchdog().at_step(step); }
  bool serves_threads() const override;
  std::shared_ptr<CommBackend> for_thread(const std::string& thread) override;

 private:
  using Operation = std::shared_ptr<MpiOperation>;

  /// Tells the watchdog, compares over the group when asked for, and opens the record.
  Operation begin(const CollectiveCall& call);
  /// A started operation as a Work.
  WorkState started(const Operation& operation);
  int next_tag();
  std::vector<std::int64_t> to_each(std::int64_t rows) const;  // one entry a rank

  std::shared_ptr<MpiComm> comm_;
  std::string name_;
  std::shared_ptr<MpiRuntime> runtime_;
  std::unique_ptr<CollectiveChecker> checker_;
  int rank_ = 0;
  int size_ = 1;
  int tag_ = 0;
};

}  // namespace moesaic
