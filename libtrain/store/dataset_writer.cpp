#include "store/dataset_writer.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <cstring>
#include <set>
#include <sstream>

#include "core/digest.h"
#include "core/error.h"
#include "core/fs.h"
#include "store/agreement.h"
#include "store/checkpoint_folder.h"
#include "store/chunk_file.h"
#include "store/chunk_grid.h"
#include "store/staging.h"

namespace moesaic {
namespace {

constexpr std::int64_t kBytesPerPiece = 4 << 20;  // stays in the cache from digest to write

/// Converts by this thread alone. LibTorch would share out a longer copy to threads, and this
/// thread may be one that works beside those that train.
void convert(const at::Tensor& from, const at::Tensor& to) {
  constexpr std::int64_t kValues = 32768;  // at::internal::GRAIN_SIZE
  if (!from.is_contiguous()) return void(to.copy_(from));
  const at::Tensor source = from.view(-1);
  const at::Tensor target = to.view(-1);
  for (std::int64_t first = 0; first < source.numel(); first += kValues) {
    const std::int64_t count = std::min(kValues, source.numel() - first);
    target.narrow(0, first, count).copy_(source.narrow(0, first, count));
  }
}

/// Rows of `count` blocks, on the host and in the type of the file.
at::Tensor rows_of(const DatasetPart& part, std::int64_t block, std::int64_t count,
                   StagingBuffer& staging) {
  const at::Tensor rows =
      part.rows(part.blocks.first_row(block), part.blocks.num_rows(block, count));
  const bool ready = rows.is_cpu() && rows.is_contiguous() && rows.scalar_type() == part.spec.dtype;
  if (ready) return rows;
  at::Tensor staged = staging.take(rows.sizes().vec(), part.spec.dtype);
  convert(rows, staged);
  return staged;
}

void digest_blocks(const DatasetPart& part, std::int64_t block, std::int64_t count,
                   const at::Tensor& rows, std::vector<std::string>& digests) {
  const char* bytes = static_cast<const char*>(rows.const_data_ptr());
  for (std::int64_t i = block; i < block + count; ++i) {
    const std::int64_t size = part.blocks.num_rows(i) * part.spec.row_bytes();
    digests[static_cast<std::size_t>(i)] = digest_of(bytes, static_cast<std::size_t>(size));
    bytes += size;
  }
}

/// The values of one chunk of `rows`, which begin at row `first_row` of the dataset: where they
/// lie, or, when not in one piece or at the edge of the dataset, as a copy filled up with zeros.
const void* chunk_of(const at::Tensor& rows, std::int64_t first_row, const Hdf5Spec& spec,
                     std::vector<std::int64_t> start, StagingBuffer& staging) {
  start[0] -= first_row;
  at::Tensor inside = rows;
  bool whole = true;
  for (std::int64_t dim = 0; dim < rows.dim(); ++dim) {
    const auto i = static_cast<std::size_t>(dim);
    const std::int64_t size = std::min(spec.chunk[i], rows.size(dim) - start[i]);
    whole = whole && size == spec.chunk[i];
    inside = inside.narrow(dim, start[i], size);
  }
  if (whole && inside.is_contiguous()) return inside.const_data_ptr();
  const at::Tensor copy = staging.take(spec.chunk, spec.dtype);
  std::memset(copy.mutable_data_ptr(), 0, copy.nbytes());
  at::Tensor target = copy;
  for (std::int64_t dim = 0; dim < rows.dim(); ++dim) {
    target = target.narrow(dim, 0, inside.size(dim));
  }
  if (target.is_contiguous() && inside.is_contiguous()) {
    std::memcpy(target.mutable_data_ptr(), inside.const_data_ptr(), inside.nbytes());
  } else {
    target.copy_(inside);
  }
  return copy.const_data_ptr();
}

/// Writes what this rank has of one dataset, piece by piece.
class PartWriter {
 public:
  PartWriter(const RankContext& context, ChunkFile& file) : context_(context), file_(file) {}

  void write(const DatasetPart& part, const std::int64_t* places,
             std::vector<std::string>& digests) {
    const std::int64_t step = part.blocks.blocks_in(kBytesPerPiece, part.spec.row_bytes());
    const std::int64_t end = part.first_block + part.num_blocks;
    for (std::int64_t block = part.first_block; block < end; block += step) {
      const std::int64_t count = std::min(step, end - block);
      const at::Tensor rows = rows_of(part, block, count, rows_staging_);
      digest_blocks(part, block, count, rows, digests);
      write_chunks(part, part.blocks.first_row(block), rows, places);
      context_.world.progress();  // the ranks that wait see that this one goes on
    }
  }

 private:
  void write_chunks(const DatasetPart& part, std::int64_t first_row, const at::Tensor& rows,
                    const std::int64_t* places) {
    const ChunkGrid grid(part.spec);
    const ChunkGrid::Range range = grid.of_rows(first_row, rows.size(0));
    const std::string what = format("dataset '{}' of {}", part.spec.name, file_.path());
    for (std::int64_t chunk = range.begin; chunk < range.end; ++chunk) {
      const void* values = chunk_of(rows, first_row, part.spec, grid.start(chunk), chunk_staging_);
      file_.write(places[chunk], values, grid.bytes(), what);
    }
  }

  const RankContext& context_;
  ChunkFile& file_;
  StagingBuffer rows_staging_;
  StagingBuffer chunk_staging_;
};

std::int64_t count_chunks(const std::vector<DatasetPart>& parts) {
  std::int64_t count = 0;
  for (const DatasetPart& part : parts) count += ChunkGrid(part.spec).count();
  return count;
}

/// Makes the file with everything but values, and reserves the space for those. The places of all
/// chunks, dataset by dataset.
void lay_out(const std::string& path, const std::vector<DatasetPart>& parts, at::Tensor& places) {
  Hdf5File file = Hdf5File::lay_out(path);
  reserve_space(path, file_bytes(parts));
  auto* place = places.mutable_data_ptr<std::int64_t>();
  for (const DatasetPart& part : parts) {
    Hdf5Dataset dataset = file.create_dataset(part.spec);
    dataset.set_attribute("dtype", dtype_name(part.spec.dtype));
    if (!part.hub_dtype.empty()) dataset.set_attribute("hub_dtype", part.hub_dtype);
    const std::vector<std::int64_t> placed = dataset.place_chunks();
    place = std::copy(placed.begin(), placed.end(), place);
    dataset.close();
  }
  file.close();
}

struct BlockRange {
  std::int64_t first = 0;
  std::int64_t count = 0;
};

/// Of the blocks that this rank holds, those that it writes.
BlockRange blocks_to_write(const RankContext& context, const StateEntry& entry,
                           const RowBlocks& blocks) {
  const std::int64_t first = blocks.block_from(entry.rows().first);
  const std::int64_t held = blocks.block_from(entry.rows().end()) - first;
  if (entry.spread) return {first, held};
  if (entry.scope == Scope::kDense) return {first, context.is_chief() ? held : 0};
  const std::int64_t replicas = context.expert_data.size();
  const std::int64_t begin = held * context.expert_data.rank() / replicas;
  const std::int64_t end = held * (context.expert_data.rank() + 1) / replicas;
  return {first + begin, end - begin};
}

DatasetDigests join_digests(const DatasetDigests& names, const std::vector<std::string>& texts) {
  DatasetDigests joined = names;
  std::vector<std::vector<std::string>*> by_index;
  for (auto& [name, blocks] : joined) by_index.push_back(&blocks);
  for (const std::string& text : texts) {
    std::istringstream stream(text);
    std::size_t index = 0;
    std::size_t block = 0;
    std::string digest;
    while (stream >> index >> block >> digest) by_index.at(index)->at(block) = digest;
  }
  for (const auto& [name, blocks] : joined) {
    for (const auto& digest : blocks) {
      MOESAIC_CHECK(!digest.empty(), ErrorKind::kInternal, "no rank has written a block of '{}'",
                    name);
    }
  }
  return joined;
}

}  // namespace

DatasetPart part_of(const RankContext& context, const StateEntry& entry, const std::string& name,
                    at::ScalarType dtype) {
  entry.check_rows();
  MOESAIC_CHECK(is_stored_dtype(dtype) && (entry.spread || entry.tensor.numel() > 0),
                ErrorKind::kInternal, "'{}' ({}, {} values here) cannot go to a checkpoint",
                entry.name, dtype_name(dtype), entry.tensor.numel());
  const at::Tensor values = entry.tensor.detach();
  const at::Tensor source = values.dim() == 0 ? values.unsqueeze(0) : values;
  arch::ParameterInfo info{name, entry.global_shape, entry.scope};
  if (info.shape.empty()) info.shape = {1};
  const RowSource rows = [source, offset = entry.offset](std::int64_t first, std::int64_t count) {
    return source.narrow(0, first - offset, count);
  };
  DatasetPart part = part_of(context, info, dtype, rows);
  const BlockRange written = blocks_to_write(context, entry, part.blocks);
  part.first_block = written.first;
  part.num_blocks = written.count;
  return part;
}

DatasetPart part_of(const RankContext& context, const arch::ParameterInfo& info,
                    at::ScalarType dtype, RowSource rows) {
  DatasetPart part;
  part.rows = std::move(rows);
  part.spec = {.name = info.name, .shape = info.shape, .dtype = dtype, .chunk = {}};
  part.spec.chunk =
      chunk_of(info.scope, info.shape, static_cast<std::int64_t>(c10::elementSize(dtype)));
  part.scope = info.scope;
  part.blocks = RowBlocks::of(info.scope, info.shape[0]);
  part.num_blocks = context.is_chief() ? part.blocks.count() : 0;
  return part;
}

void check_parts(const RankContext& context, const std::vector<DatasetPart>& parts) {
  Digest digest;
  std::set<std::string> names;
  for (const DatasetPart& part : parts) {
    names.insert(part.spec.name);
    digest.update(format("{} {} {} {}\n", part.spec.name, part.spec.shape,
                         dtype_name(part.spec.dtype), static_cast<int>(part.scope)));
  }
  const std::string mine = digest.hex();
  const std::string chief = context.world.broadcast(mine, 0, "checkpoint: datasets");
  agreed(context.world, "checkpoint: datasets agree", [&] {
    MOESAIC_CHECK(mine == chief, ErrorKind::kInternal, "the ranks would save different datasets");
    MOESAIC_CHECK(names.size() == parts.size(), ErrorKind::kInternal,
                  "two datasets have the same name");
  });
  at::Tensor counts = at::empty({static_cast<std::int64_t>(parts.size())}, at::kLong);
  auto* count = counts.mutable_data_ptr<std::int64_t>();
  for (std::size_t i = 0; i < parts.size(); ++i) count[i] = parts[i].num_blocks;
  context.world.all_reduce(counts, ReduceOp::kSum, "checkpoint: blocks");
  for (std::size_t i = 0; i < parts.size(); ++i) {
    MOESAIC_CHECK(count[i] == parts[i].blocks.count(), ErrorKind::kInternal,
                  "the ranks hold {} of {} blocks of '{}'", count[i], parts[i].blocks.count(),
                  parts[i].spec.name);
  }
}

std::uint64_t file_bytes(const std::vector<DatasetPart>& parts) {
  constexpr std::uint64_t kPerChunk = 4096 + 256;  // up to the next page; index entries
  std::uint64_t bytes = 1U << 20U;
  for (const DatasetPart& part : parts) {
    const ChunkGrid grid(part.spec);
    // Object header, first index node.
    bytes += static_cast<std::uint64_t>(grid.count()) * (grid.stored_bytes() + kPerChunk) + 8192;
  }
  return bytes;
}

DatasetDigests write_datasets(const RankContext& context, const std::string& path,
                              const std::vector<DatasetPart>& parts) {
  DatasetDigests digests;
  for (const DatasetPart& part : parts) {
    digests[part.spec.name].resize(static_cast<std::size_t>(part.blocks.count()));
  }
  at::Tensor places = at::empty({count_chunks(parts)}, at::kLong);
  agreed(context.world, "checkpoint: lay out", [&] {
    if (context.is_chief()) lay_out(path, parts, places);
  });
  context.world.broadcast(places, 0, "checkpoint: places");
  agreed(context.world, "checkpoint: write", [&] {
    ChunkFile file(path);
    PartWriter writer(context, file);
    const auto* place = places.const_data_ptr<std::int64_t>();
    for (const DatasetPart& part : parts) {
      writer.write(part, place, digests[part.spec.name]);
      place += ChunkGrid(part.spec).count();
    }
  });
  return digests;
}

DatasetDigests gather_digests(const RankContext& context, const DatasetDigests& mine) {
  std::string lines;  // "<index in name order> <block> <digest>"
  std::size_t index = 0;
  for (const auto& [name, blocks] : mine) {
    for (std::size_t block = 0; block < blocks.size(); ++block) {
      if (!blocks[block].empty()) lines += format("{} {} {}\n", index, block, blocks[block]);
    }
    ++index;
  }
  const auto all = context.world.all_gather(lines, "checkpoint: digests");
  DatasetDigests joined;
  agreed(context.world, "checkpoint: all digests", [&] {
    if (context.is_chief()) joined = join_digests(mine, all);
  });
  return joined;
}

}  // namespace moesaic
