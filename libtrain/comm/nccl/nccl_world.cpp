#include "comm/nccl/nccl_world.h"

#include <c10/cuda/CUDAFunctions.h>

#include <array>

#include "comm/nccl/nccl_backend.h"
#include "core/error.h"
#include "core/host_name.h"

namespace moesaic {
namespace {

/// The same text on two ranks = the same device.
std::string place_of(int device) {
  std::array<char, 32> bus{};
  check_cuda(cudaDeviceGetPCIBusId(bus.data(), bus.size(), device), "cudaDeviceGetPCIBusId");
  return format("{} on {}", bus.data(), host_name());
}

}  // namespace

int select_device(const Communicator& host, int local_rank) {
  int count = 0;
  if (cudaGetDeviceCount(&count) != cudaSuccess) count = 0;
  MOESAIC_CHECK(count > 0, ErrorKind::kDevice, "rank {} sees no CUDA device", host.rank());
  const int device = count == 1 ? 0 : local_rank;
  MOESAIC_CHECK(
      device < count, ErrorKind::kDevice,
      "rank {} is number {} on its machine, which shows {} devices; start at most {} ranks "
      "on each machine",
      host.rank(), local_rank + 1, count, count);
  const auto places = host.all_gather(place_of(device), "devices");
  for (int other = 0; other < host.size(); ++other) {
    MOESAIC_CHECK(other == host.rank() || places[static_cast<std::size_t>(other)] !=
                                              places[static_cast<std::size_t>(host.rank())],
                  ErrorKind::kDevice,
                  "ranks {} and {} both use device {}; NCCL needs one device for each rank", other,
                  host.rank(), places[static_cast<std::size_t>(other)]);
  }
  c10::cuda::set_device(static_cast<c10::DeviceIndex>(device));
  return device;
}

Communicator nccl_world(const Communicator& host, const CommOptions& options) {
  return Communicator(std::make_shared<NcclBackend>(host, options.check_collectives));
}

}  // namespace moesaic
