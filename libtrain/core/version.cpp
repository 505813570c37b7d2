#include "core/version.h"

#include "core/build_versions.h"

namespace moesaic {

std::vector<std::pair<std::string, std::string>> build_versions() {
  return {{"moesaic", MOESAIC_VERSION},
          {"torch", MOESAIC_TORCH_VERSION},
          {"mpi", MOESAIC_MPI_VERSION},
          {"hdf5", MOESAIC_HDF5_VERSION},
          {"nccl", MOESAIC_NCCL_VERSION}};
}

}  // namespace moesaic
