// The ways to write a checkpoint's tensors with Fletcher32, as plainly as HDF5's documentation has
// them, for comparison with CheckpointStore::save. No digests, no manifest, no agreement on errors.
#pragma once

#include <string>

#include "parallel/rank_context.h"
#include "parallel/state_dict.h"

namespace moesaic::bench {

/// Each is collective over world and ends with the file's fsync.
using Way = void (*)(const RankContext& context, const std::string& path, const StateDict& state);

/// No HDF5: each rank writes its bytes to one file by write() of 8 MB.
void write_raw(const RankContext& context, const std::string& path, const StateDict& state);
/// The chief takes in what the others hold; H5Dwrite through the filter.
void one_writer(const RankContext& context, const std::string& path, const StateDict& state);
/// The same with H5Dwrite_chunk and our checksum.
void one_writer_direct(const RankContext& context, const std::string& path, const StateDict& state);
/// All ranks write to one file through MPI-IO, by collective H5Dwrite.
void collective(const RankContext& context, const std::string& path, const StateDict& state);
/// A file a rank, with H5Dwrite_chunk and our checksum.
void file_per_rank_direct(const RankContext& context, const std::string& path,
                          const StateDict& state);

}  // namespace moesaic::bench
