// Where this rank computes: the CPU worker knows one device, moesaic-worker-cuda two.
#pragma once

#include <c10/core/Device.h>

#include "comm/communicator.h"
#include "comm/mpi/mpi_world.h"

namespace moesaic::worker {

struct DeviceWorld {
  at::Device device = at::kCPU;
  Communicator world;  // for tensors on that device, and for host tensors
};

/// Collective over `host`. `name` is the recipe's parallel.device: cpu | cuda. Error(kDevice) when
/// this program or this machine does not have it.
DeviceWorld open_device(const std::string& name, const Communicator& host,
                        const MpiSession& session, const CommOptions& options);

}  // namespace moesaic::worker
