#include "comm/nccl/nccl_handles.h"

#include <cstring>
#include <exception>

#include "core/error.h"

namespace moesaic {

void check_nccl(ncclResult_t code, const std::string& what) {
  MOESAIC_CHECK(code == ncclSuccess, ErrorKind::kCommunication, "{}: {}: {}", what,
                ncclGetErrorString(code), ncclGetLastError(nullptr));
}

void check_cuda(cudaError_t code, const std::string& what) {
  MOESAIC_CHECK(code == cudaSuccess, ErrorKind::kDevice, "{}: {}", what, cudaGetErrorString(code));
}

NcclComm::NcclComm(const Communicator& host) {
  ncclUniqueId id;
  std::string bytes;
  if (host.is_chief()) {
    check_nccl(ncclGetUniqueId(&id), "ncclGetUniqueId");
    bytes.assign(id.internal, sizeof(id.internal));
  }
  bytes = host.broadcast(bytes, 0, "NCCL id");
  std::memcpy(id.internal, bytes.data(), sizeof(id.internal));
  check_nccl(ncclCommInitRank(&comm_, host.size(), id, host.rank()),
             format("ncclCommInitRank of group {} (rank {} of {})", host.name(), host.rank(),
                    host.size()));
}

NcclComm::~NcclComm() {
  if (comm_ == nullptr) return;
  if (std::uncaught_exceptions() > 0) {
    ncclCommAbort(comm_);
  } else {
    ncclCommDestroy(comm_);
  }
}

void NcclComm::check_background(const std::string& what) const {
  ncclResult_t code = ncclSuccess;
  check_nccl(ncclCommGetAsyncError(comm_, &code), what);
  check_nccl(code, what);
}

ncclDataType_t nccl_type(c10::ScalarType type) {
  switch (type) {
    case c10::kFloat:
      return ncclFloat32;
    case c10::kDouble:
      return ncclFloat64;
    case c10::kInt:
      return ncclInt32;
    case c10::kLong:
      return ncclInt64;
    case c10::kByte:
      return ncclUint8;
    default:
      throw Error(ErrorKind::kInternal, format("no NCCL reduction of {}", c10::toString(type)));
  }
}

ncclRedOp_t nccl_op(ReduceOp op) {
  switch (op) {
    case ReduceOp::kMax:
      return ncclMax;
    case ReduceOp::kMin:
      return ncclMin;
    case ReduceOp::kSum:
      break;
  }
  return ncclSum;
}

}  // namespace moesaic
