// A file driver that lays out an HDF5 file without its values: HDF5 writes all metadata and gives
// every chunk its place, and what it would write as values is dropped. The values are written to
// those places afterwards, by any process, without HDF5.
#pragma once

#include "store/hdf5_id.h"

namespace moesaic {

/// Registers the driver; it lasts at least as long as the files that were made with it.
Hdf5Id layout_driver();

}  // namespace moesaic
