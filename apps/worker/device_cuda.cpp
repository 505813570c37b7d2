// Of moesaic-worker-cuda.
#include "comm/nccl/nccl_world.h"
#include "device.h"

namespace moesaic::worker {

DeviceWorld open_device(const std::string& name, const Communicator& host,
                        const MpiSession& session, const CommOptions& options) {
  if (name == "cpu") return {at::kCPU, host};
  const int index = select_device(host, session.local_rank());
  return {at::Device(at::kCUDA, static_cast<at::DeviceIndex>(index)), nccl_world(host, options)};
}

}  // namespace moesaic::worker
