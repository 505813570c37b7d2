#include "store/dataset_writer.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <optional>
#include <set>
#include <sstream>

#include "core/digest.h"
#include "core/error.h"
#include "core/fs.h"
#include "store/agreement.h"
#include "store/checkpoint_folder.h"
#include "store/staging.h"

namespace moesaic {
namespace {

constexpr std::int64_t kBytesPerWrite = 16 << 20;  // HDF5 copies what one collective call writes

/// Rows of `count` blocks, on the host and in the type of the file.
at::Tensor rows_of(const DatasetPart& part, std::int64_t block, std::int64_t count,
                   StagingBuffer& staging) {
  const at::Tensor rows =
      part.rows(part.blocks.first_row(block), part.blocks.num_rows(block, count));
  const bool ready = rows.is_cpu() && rows.is_contiguous() && rows.scalar_type() == part.spec.dtype;
  return ready ? rows : staging.take(rows.sizes().vec(), part.spec.dtype).copy_(rows);
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

void write_blocks(Hdf5Dataset& dataset, const DatasetPart& part, std::int64_t block,
                  std::int64_t count, StagingBuffer& staging, std::vector<std::string>& digests) {
  const std::int64_t first = part.blocks.first_row(block);
  if (count <= 0) return dataset.write_rows(0, 0, nullptr);
  const at::Tensor rows = rows_of(part, block, count, staging);
  dataset.write_rows(first, part.blocks.num_rows(block, count), rows.const_data_ptr());
  digest_blocks(part, block, count, rows, digests);
}

bool is_shared(const RankContext& context, const DatasetPart& part) {
  return part.scope == Scope::kExpert && context.world.size() > 1;
}

/// All metadata and all dense values: this process alone needs no agreement on its way.
void create_file(const RankContext& context, const std::string& path,
                 const std::vector<DatasetPart>& parts, DatasetDigests& digests) {
  Hdf5File file = Hdf5File::create(path);
  reserve_space(path, file_bytes(parts));
  StagingBuffer staging;
  for (const DatasetPart& part : parts) {
    Hdf5Dataset dataset = file.create_dataset(part.spec);
    dataset.set_attribute("dtype", dtype_name(part.spec.dtype));
    if (!part.hub_dtype.empty()) dataset.set_attribute("hub_dtype", part.hub_dtype);
    if (is_shared(context, part)) {
      dataset.place_chunks();
    } else {
      const std::int64_t step = part.blocks.blocks_in(kBytesPerWrite, part.spec.row_bytes());
      const std::int64_t end = part.first_block + part.num_blocks;
      for (std::int64_t block = part.first_block; block < end; block += step) {
        write_blocks(dataset, part, block, std::min(step, end - block), staging,
                     digests[part.spec.name]);
      }
    }
    dataset.close();
  }
  file.close();
}

/// Collective over world. One agreement per HDF5 call, so that no rank enters the next one alone.
void write_shared(const RankContext& context, const std::string& path,
                  const std::vector<DatasetPart>& parts, DatasetDigests& digests) {
  std::optional<Hdf5File> file;
  StagingBuffer staging;
  agreed(context.world, "checkpoint: open",
         [&] { file = Hdf5File::open_parallel(path, context.world.native_mpi()); });
  for (const DatasetPart& part : parts) {
    if (!is_shared(context, part)) continue;
    std::optional<Hdf5Dataset> dataset;
    agreed(context.world, "checkpoint: open dataset",
           [&] { dataset = file->dataset(part.spec.name); });
    const std::int64_t step = part.blocks.blocks_in(kBytesPerWrite, part.spec.row_bytes());
    // The same number of calls on all ranks: some take part without data.
    for (std::int64_t done = 0; done < part.most_blocks; done += step) {
      const std::int64_t count = std::min(step, part.num_blocks - done);
      agreed(context.world, "checkpoint: write", [&] {
        write_blocks(*dataset, part, part.first_block + done, count, staging,
                     digests[part.spec.name]);
      });
    }
    agreed(context.world, "checkpoint: close dataset", [&] { dataset->close(); });
  }
  agreed(context.world, "checkpoint: close", [&] { file->close(); });
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
  MOESAIC_CHECK(is_stored_dtype(dtype) && entry.tensor.numel() > 0, ErrorKind::kInternal,
                "'{}' ({}, {} values here) cannot go to a checkpoint", entry.name,
                dtype_name(dtype), entry.tensor.numel());
  const at::Tensor values = entry.tensor.detach();
  const at::Tensor source = values.dim() == 0 ? values.unsqueeze(0) : values;
  arch::ParameterInfo info{name, entry.global_shape, entry.scope};
  if (info.shape.empty()) info.shape = {1};
  const RowSource rows = [source, offset = entry.offset](std::int64_t first, std::int64_t count) {
    return source.narrow(0, first - offset, count);
  };
  DatasetPart part = part_of(context, info, dtype, rows);
  if (entry.scope == Scope::kDense) return part;
  const std::int64_t held = source.size(0);
  const std::int64_t replicas = context.expert_data.size();
  const std::int64_t begin = held * context.expert_data.rank() / replicas;
  const std::int64_t end = held * (context.expert_data.rank() + 1) / replicas;
  part.first_block = entry.offset + begin;
  part.num_blocks = end - begin;
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

void check_parts(const RankContext& context, std::vector<DatasetPart>& parts) {
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
  at::Tensor most = counts.clone();
  context.world.all_reduce(counts, ReduceOp::kSum, "checkpoint: blocks");
  context.world.all_reduce(most, ReduceOp::kMax, "checkpoint: blocks");
  for (std::size_t i = 0; i < parts.size(); ++i) {
    parts[i].most_blocks = most.const_data_ptr<std::int64_t>()[i];
    MOESAIC_CHECK(count[i] == parts[i].blocks.count(), ErrorKind::kInternal,
                  "the ranks hold {} of {} blocks of '{}'", count[i], parts[i].blocks.count(),
                  parts[i].spec.name);
  }
}

std::uint64_t file_bytes(const std::vector<DatasetPart>& parts) {
  std::uint64_t bytes = 1U << 20U;
  for (const DatasetPart& part : parts) {
    std::uint64_t chunks = 1;
    std::uint64_t chunk_bytes = c10::elementSize(part.spec.dtype);
    for (std::size_t i = 0; i < part.spec.shape.size(); ++i) {
      chunks *= static_cast<std::uint64_t>((part.spec.shape[i] + part.spec.chunk[i] - 1) /
                                           part.spec.chunk[i]);
      chunk_bytes *= static_cast<std::uint64_t>(part.spec.chunk[i]);
    }
    bytes += chunks * (chunk_bytes + 256) + 8192;  // index entries; object header, first index node
  }
  return bytes;
}

DatasetDigests write_datasets(const RankContext& context, const std::string& path,
                              const std::vector<DatasetPart>& parts) {
  DatasetDigests digests;
  for (const DatasetPart& part : parts) {
    digests[part.spec.name].resize(static_cast<std::size_t>(part.blocks.count()));
  }
  agreed(context.world, "checkpoint: create", [&] {
    if (context.is_chief()) create_file(context, path, parts, digests);
  });
  const bool shared = std::any_of(parts.begin(), parts.end(), [&](const DatasetPart& part) {
    return is_shared(context, part);
  });
  if (shared) write_shared(context, path, parts, digests);
  agreed(context.world, "checkpoint: sync", [&] {
    if (context.is_chief()) release_space(path);
    sync_path(path);
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
