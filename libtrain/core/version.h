// Versions of this build, known without loading any library.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace moesaic {

/// {"moesaic", "0.1.0"}, {"torch", ...}, {"mpi", ...}, {"hdf5", ...}, {"nccl", ... or "none"}
std::vector<std::pair<std::string, std::string>> build_versions();

}  // namespace moesaic
