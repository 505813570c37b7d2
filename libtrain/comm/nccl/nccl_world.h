// The NCCL communicator of device tensors, made on top of the host communicator.
#pragma once

#include "comm/communicator.h"

namespace moesaic {

/// Collective over `host`. Picks this rank's device (its place among the ranks of the machine; 0
/// when the launcher shows each rank one device only), makes it current and returns its index.
/// Error(kDevice) when there are too few devices or two ranks would share one, which NCCL refuses.
int select_device(const Communicator& host, int local_rank);

/// Collective over `host`. The current device must be this rank's own.
Communicator nccl_world(const Communicator& host, const CommOptions& options);

}  // namespace moesaic
