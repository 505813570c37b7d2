#include "tools/checkpoint_ways/ways.h"

#define H5_USE_110_API
#define OMPI_SKIP_MPICXX 1
#include <ATen/ops/empty_like.h>
#include <fcntl.h>
#include <hdf5.h>
#include <mpi.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "core/error.h"
#include "core/fs.h"
#include "store/chunk_grid.h"
#include "store/fletcher32.h"
#include "store/hdf5_id.h"

namespace moesaic::bench {
namespace {

using Dimensions = std::vector<hsize_t>;

Dimensions dimensions(at::IntArrayRef sizes) { return {sizes.begin(), sizes.end()}; }

std::vector<std::int64_t> chunk_shape(const StateEntry& entry) {
  return chunk_of(entry.scope, entry.global_shape, 4);
}

Hdf5Id create_dataset(hid_t file, const StateEntry& entry) {
  const Dimensions extent = dimensions(entry.global_shape);
  const Dimensions chunk = dimensions(chunk_shape(entry));
  const int rank = static_cast<int>(extent.size());
  const Hdf5Id space(H5Screate_simple(rank, extent.data(), nullptr), H5Sclose);
  const Hdf5Id properties(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
  H5Pset_chunk(properties.get(), rank, chunk.data());
  H5Pset_fletcher32(properties.get());
  H5Pset_fill_time(properties.get(), H5D_FILL_TIME_NEVER);
  return {must(H5Dcreate2(file, entry.name.c_str(), H5T_IEEE_F32LE, space.get(), H5P_DEFAULT,
                          properties.get(), H5P_DEFAULT),
               "create " + entry.name),
          H5Dclose};
}

Hdf5Id create_file(const std::string& path) {
  return {must(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT), "create " + path),
          H5Fclose};
}

/// Rows [first, first + rows.size(0)) through the filter pipeline; none of them when `rows` is
/// undefined.
void write_rows(hid_t dataset, std::int64_t first, const at::Tensor& rows, hid_t transfer) {
  const Hdf5Id file(H5Dget_space(dataset), H5Sclose);
  const Dimensions extent = dimensions(rows.sizes());
  const Hdf5Id memory(H5Screate_simple(static_cast<int>(extent.size()), extent.data(), nullptr),
                      H5Sclose);
  Dimensions start(extent.size(), 0);
  start[0] = static_cast<hsize_t>(first);
  H5Sselect_hyperslab(file.get(), H5S_SELECT_SET, start.data(), nullptr, extent.data(), nullptr);
  must(H5Dwrite(dataset, H5T_IEEE_F32LE, memory.get(), file.get(), transfer, rows.const_data_ptr()),
       "write");
}

/// The same chunk by chunk, past the pipeline.
void write_chunks(hid_t dataset, const StateEntry& entry, std::int64_t first,
                  const at::Tensor& rows) {
  const std::vector<std::int64_t> chunk = chunk_shape(entry);
  const std::size_t row_bytes = rows.nbytes() / static_cast<std::size_t>(rows.size(0));
  const std::size_t bytes = row_bytes * static_cast<std::size_t>(chunk[0]);
  std::vector<char> buffer(bytes + sizeof(std::uint32_t));
  for (std::int64_t row = 0; row < rows.size(0); row += chunk[0]) {
    const std::int64_t count = std::min(chunk[0], rows.size(0) - row);
    const std::size_t used = row_bytes * static_cast<std::size_t>(count);
    std::memcpy(buffer.data(), rows.narrow(0, row, count).const_data_ptr(), used);
    std::memset(buffer.data() + used, 0, bytes - used);
    const std::uint32_t checksum = fletcher32(buffer.data(), bytes);
    std::memcpy(buffer.data() + bytes, &checksum, sizeof checksum);
    Dimensions start(chunk.size(), 0);
    start[0] = static_cast<hsize_t>(first + row);
    must(H5Dwrite_chunk(dataset, H5P_DEFAULT, 0, start.data(), buffer.size(), buffer.data()),
         "write");
  }
}

/// Calls `write(first row, rows)` on the chief with what each rank holds.
template <class Write>
void gather(const RankContext& context, const StateEntry& entry, const Write& write) {
  const bool split = entry.scope == Scope::kExpert;
  const auto bytes = static_cast<int>(entry.tensor.nbytes());
  if (!context.is_chief()) {
    if (split) MPI_Send(entry.tensor.const_data_ptr(), bytes, MPI_BYTE, 0, 0, MPI_COMM_WORLD);
    return;
  }
  write(entry.offset, entry.tensor);
  at::Tensor received = at::empty_like(entry.tensor);
  for (int rank = 1; split && rank < context.world.size(); ++rank) {
    MPI_Recv(received.mutable_data_ptr(), bytes, MPI_BYTE, rank, 0, MPI_COMM_WORLD,
             MPI_STATUS_IGNORE);
    write(rank * entry.tensor.size(0), received);
  }
}

template <class Write>
void write_by_chief(const RankContext& context, const std::string& path, const StateDict& state,
                    const Write& write) {
  Hdf5Id file;
  if (context.is_chief()) file = create_file(path);
  for (const StateEntry& entry : state) {
    Hdf5Id dataset;
    if (context.is_chief()) dataset = create_dataset(file.get(), entry);
    gather(context, entry, [&](std::int64_t first, const at::Tensor& rows) {
      write(dataset.get(), entry, first, rows);
    });
  }
  file.close();
  if (context.is_chief()) sync_path(path);
}

/// HDF5 tells the chunks of a collective write apart by their addresses: each gets one first.
void place_chunks(hid_t dataset, const StateEntry& entry) {
  constexpr std::uint64_t kPlaceholder = 0;
  const std::vector<std::int64_t> chunk = chunk_shape(entry);
  Dimensions start(chunk.size(), 0);
  for (std::int64_t row = 0; row < entry.global_shape[0]; row += chunk[0]) {
    start[0] = static_cast<hsize_t>(row);
    H5Dwrite_chunk(dataset, H5P_DEFAULT, 0, start.data(), sizeof kPlaceholder, &kPlaceholder);
  }
}

Hdf5Id open_parallel(const std::string& path) {
  const Hdf5Id access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
  H5Pset_fapl_mpio(access.get(), MPI_COMM_WORLD, MPI_INFO_NULL);
  return {must(H5Fopen(path.c_str(), H5F_ACC_RDWR, access.get()), "open " + path), H5Fclose};
}

}  // namespace

void write_raw(const RankContext& context, const std::string& path, const StateDict& state) {
  constexpr std::int64_t kBytes = 8'000'000;
  const int fd = ::open(path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
  off_t end = 0;
  for (const StateEntry& entry : state) {
    const auto bytes = static_cast<std::int64_t>(entry.tensor.nbytes());
    const bool split = entry.scope == Scope::kExpert;
    const off_t begin = end + (split ? context.rank() * bytes : 0);
    end += split ? context.world.size() * bytes : bytes;
    if (!split && !context.is_chief()) continue;
    const char* data = static_cast<const char*>(entry.tensor.const_data_ptr());
    for (std::int64_t done = 0; done < bytes;) {
      const auto size = static_cast<std::size_t>(std::min(kBytes, bytes - done));
      const ssize_t wrote = ::pwrite(fd, data + done, size, begin + done);
      MOESAIC_CHECK(wrote > 0, ErrorKind::kCheckpoint, "cannot write {}", path);
      done += wrote;
    }
  }
  ::close(fd);
  sync_path(path);
}

void one_writer(const RankContext& context, const std::string& path, const StateDict& state) {
  write_by_chief(context, path, state,
                 [](hid_t dataset, const StateEntry&, std::int64_t first, const at::Tensor& rows) {
                   write_rows(dataset, first, rows, H5P_DEFAULT);
                 });
}

void one_writer_direct(const RankContext& context, const std::string& path,
                       const StateDict& state) {
  write_by_chief(context, path, state, write_chunks);
}

void collective(const RankContext& context, const std::string& path, const StateDict& state) {
  if (context.is_chief()) {
    const Hdf5Id file = create_file(path);
    for (const StateEntry& entry : state) {
      const Hdf5Id dataset = create_dataset(file.get(), entry);
      if (entry.scope == Scope::kExpert) {
        place_chunks(dataset.get(), entry);
      } else {
        write_rows(dataset.get(), 0, entry.tensor, H5P_DEFAULT);
      }
    }
  }
  context.world.barrier("created");
  Hdf5Id file = open_parallel(path);
  const Hdf5Id transfer(H5Pcreate(H5P_DATASET_XFER), H5Pclose);
  H5Pset_dxpl_mpio(transfer.get(), H5FD_MPIO_COLLECTIVE);
  H5Pset_dxpl_mpio_collective_opt(transfer.get(), H5FD_MPIO_INDIVIDUAL_IO);
  for (const StateEntry& entry : state) {
    if (entry.scope != Scope::kExpert) continue;
    const Hdf5Id dataset(H5Dopen2(file.get(), entry.name.c_str(), H5P_DEFAULT), H5Dclose);
    write_rows(dataset.get(), entry.offset, entry.tensor, transfer.get());
  }
  file.close();
  sync_path(path);
}

void file_per_rank_direct(const RankContext& context, const std::string& path,
                          const StateDict& state) {
  const std::string mine = context.is_chief() ? path : format("{}.{}", path, context.rank());
  Hdf5Id file = create_file(mine);
  for (const StateEntry& entry : state) {
    if (entry.scope != Scope::kExpert && !context.is_chief()) continue;
    const Hdf5Id dataset = create_dataset(file.get(), entry);
    write_chunks(dataset.get(), entry, entry.offset, entry.tensor);
  }
  file.close();
  sync_path(mine);
}

}  // namespace moesaic::bench
