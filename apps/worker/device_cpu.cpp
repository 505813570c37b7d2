// Of moesaic-worker.
#include "core/error.h"
#include "device.h"

namespace moesaic::worker {

DeviceWorld open_device(const std::string& name, const Communicator& host, const MpiSession&,
                        const CommOptions&) {
  if (name == "cpu") return {at::kCPU, host};
  throw Error(ErrorKind::kDevice,
              format("parallel.device: {}: this program computes on the CPU only", name),
              "run moesaic-worker-cuda, which is built where the CUDA toolkit and NCCL are found");
}

}  // namespace moesaic::worker
