// Writes tensors as the datasets of one HDF5 file: the chief lays the file out, then each rank
// writes the rows that are its share to their places. HDF5 is called by the chief alone, and never
// while others wait in it.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "parallel/rank_context.h"
#include "parallel/row_blocks.h"
#include "parallel/state_dict.h"
#include "store/hdf5.h"
#include "store/manifest.h"

namespace moesaic {

/// Gives rows [first, first + count) of a dataset, in any floating type: of a tensor in memory, or
/// read when they are asked for. Used before the next call.
using RowSource = std::function<at::Tensor(std::int64_t first, std::int64_t count)>;

/// One dataset to be, and what this rank has of it.
struct DatasetPart {
  Hdf5Spec spec;
  Scope scope = Scope::kDense;
  RowSource rows;
  std::string hub_dtype;  // attribute; "" = none
  RowBlocks blocks;
  std::int64_t first_block = 0;  // blocks that this rank writes
  std::int64_t num_blocks = 0;
};

/// `entry` as a dataset of type `dtype`. Whoever holds what is spread writes it; of the rest the
/// chief writes the dense values, and ranks that hold the same experts share the work.
DatasetPart part_of(const RankContext& context, const StateEntry& entry, const std::string& name,
                    at::ScalarType dtype);

/// A parameter whose values come from `rows`; all of it by this rank.
DatasetPart part_of(const RankContext& context, const arch::ParameterInfo& info,
                    at::ScalarType dtype, RowSource rows);

/// Collective over world. Every rank has the same datasets with different names, and together they
/// hold every row; else Error(kInternal).
void check_parts(const RankContext& context, const std::vector<DatasetPart>& parts);

/// Upper bound of the bytes of the file.
std::uint64_t file_bytes(const std::vector<DatasetPart>& parts);

/// Collective over world. Writes the file and gives the digests of the blocks that this rank wrote
/// (the others are ""). Not durable yet: sync_path() on every rank is to follow. After a failure
/// every rank throws.
DatasetDigests write_datasets(const RankContext& context, const std::string& path,
                              const std::vector<DatasetPart>& parts);

/// Collective over world. Joins the digests of all ranks on the chief; {} elsewhere.
DatasetDigests gather_digests(const RankContext& context, const DatasetDigests& mine);

}  // namespace moesaic
