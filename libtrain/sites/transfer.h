// Files of a silo on their way to the coordinator and back, over as many connections as it takes.
#pragma once

#include <string>

#include "protocol/blob.h"
#include "sites/calls.h"

namespace moesaic::sites {

/// What the coordinator lacks of a file, from where it lacks it. Throws as SiloClient::send.
void upload(Calls& calls, const Blob& blob, const std::string& file, double stall_s);

/// As SiloClient::fetch.
void fetch(Calls& calls, const Blob& blob, const std::string& path, double stall_s);

}  // namespace moesaic::sites
