// RAII for NCCL communicators, and errors of NCCL and CUDA as ours. Internal to comm/nccl.
#pragma once

#include <c10/core/ScalarType.h>
#include <cuda_runtime_api.h>
#include <nccl.h>

#include <string>

#include "comm/communicator.h"

namespace moesaic {

/// Error(kCommunication) unless `code` is success. `what` names the call, the group and the label.
void check_nccl(ncclResult_t code, const std::string& what);
/// Error(kDevice) unless `code` is success.
void check_cuda(cudaError_t code, const std::string& what);

class NcclComm {
 public:
  /// Collective over `host`, whose ranks it takes over; uses the current device.
  explicit NcclComm(const Communicator& host);
  /// Aborts instead of finishing while an error is in flight: the other ranks may not come.
  ~NcclComm();
  NcclComm(const NcclComm&) = delete;
  NcclComm& operator=(const NcclComm&) = delete;

  ncclComm_t get() const { return comm_; }
  /// Throws what NCCL met in the background since the last call.
  void check_background(const std::string& what) const;

 private:
  ncclComm_t comm_ = nullptr;
};

/// Of a dtype that reductions support.
ncclDataType_t nccl_type(c10::ScalarType type);
ncclRedOp_t nccl_op(ReduceOp op);

}  // namespace moesaic
