// SingleBackend: a group of one rank. Every collective is a copy or nothing.
#pragma once

#include "comm/backend.h"

namespace moesaic {

class SingleBackend : public CommBackend {
 public:
  /// `native` points to the MPI_Comm of this group and owns it; null without MPI.
  explicit SingleBackend(std::string name, std::shared_ptr<const void> native = nullptr)
      : name_(std::move(name)), native_(std::move(native)) {}

  int rank() const override { return 0; }
  int size() const override { return 1; }
  const std::string& name() const override { return name_; }

  WorkState all_reduce(at::Tensor tensor, ReduceOp op, const std::string& label) override;
  WorkState all_gather(const at::Tensor& mine, at::Tensor all, const std::string& label) override;
  WorkState reduce_scatter(const at::Tensor& all, at::Tensor mine,
                           const std::string& label) override;
  WorkState broadcast(at::Tensor tensor, int root, const std::string& label) override;
  WorkState all_to_all(const at::Tensor& rows, const std::vector<std::int64_t>& send_rows,
                       at::Tensor received, const std::vector<std::int64_t>& receive_rows,
                       const std::string& label) override;
  void barrier(const std::string& label) override;

  std::shared_ptr<CommBackend> split(int colour, const std::string& name) override;
  void progress() override {}
  const void* native_mpi() const override { return native_.get(); }

 private:
  std::string name_;
  std::shared_ptr<const void> native_;
};

}  // namespace moesaic
