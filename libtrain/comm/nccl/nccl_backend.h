// NcclBackend: collectives of device tensors over NCCL; host tensors go over the group's host back
// end. Internal to comm/nccl; see nccl_world.h for its making.
#pragma once

#include <c10/cuda/CUDAStream.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "comm/backend.h"
#include "comm/nccl/nccl_handles.h"

namespace moesaic {

class NcclBackend : public CommBackend {
 public:
  /// Collective over `host`.
  NcclBackend(const Communicator& host, bool check_collectives);

  int rank() const override { return host_.rank(); }
  int size() const override { return host_.size(); }
  const std::string& name() const override { return host_.name(); }

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
  void progress() override { host_.progress(); }
  void at_step(std::int64_t step) override { host_.at_step(step); }
  bool serves_threads() const override { return host_.backend()->serves_threads(); }
  std::shared_ptr<CommBackend> for_thread(const std::string& thread) override {
    return host_.backend()->for_thread(thread);
  }

 private:
  using Call = std::function<ncclResult_t(ncclComm_t, cudaStream_t)>;

  /// Runs `call` on the stream of this group, after all that the current stream holds. `tensors`
  /// stay alive until the work ends. `what` is the collective and its sizes, equal on all ranks.
  WorkState start(std::vector<at::Tensor> tensors, const std::string& what, const Call& call);
  void compare(const std::string& what) const;

  Communicator host_;
  bool check_collectives_;
  NcclComm comm_;
  c10::cuda::CUDAStream stream_;  // one for all collectives of the group: NCCL wants them in order
};

}  // namespace moesaic
