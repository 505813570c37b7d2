#include "store/hdf5.h"

#define H5_USE_110_API
#define OMPI_SKIP_MPICXX 1  // hdf5.h includes mpi.h: not its old C++ part
#include <hdf5.h>

#include <algorithm>
#include <bit>

#include "core/error.h"

namespace moesaic {
namespace {

static_assert(std::endian::native == std::endian::little,
              "values go to the file as they lie in memory");

constexpr std::size_t kMaxText = 4096;  // of an attribute

Hdf5Id property_list(hid_t type, const std::string& doing) {
  return {must(H5Pcreate(type), doing), H5Pclose};
}

std::vector<hsize_t> dimensions(const std::vector<std::int64_t>& shape) {
  return {shape.begin(), shape.end()};
}

// Rows [first, first + count) in the file and as many values in memory; with count 0 none of both.
struct Selection {
  Hdf5Id file;
  Hdf5Id memory;
};

// The memory has the dimensions of the rows, not one: HDF5 matches equal shapes chunk by chunk, but
// walks value by value through others (measured: four times the time of the whole write).
Selection select_rows(hid_t dataset, const Hdf5Spec& spec, std::int64_t first, std::int64_t count,
                      const std::string& where) {
  MOESAIC_ASSERT(first >= 0 && count >= 0 && first + count <= spec.shape[0]);
  const std::string doing = "select rows of " + where;
  std::vector<hsize_t> extent = dimensions(spec.shape);
  extent[0] = static_cast<hsize_t>(std::max<std::int64_t>(count, 1));
  const int rank = static_cast<int>(extent.size());
  Selection out{{must(H5Dget_space(dataset), doing), H5Sclose},
                {must(H5Screate_simple(rank, extent.data(), nullptr), doing), H5Sclose}};
  if (count == 0) {
    must(H5Sselect_none(out.file.get()), doing);
    must(H5Sselect_none(out.memory.get()), doing);
    return out;
  }
  std::vector<hsize_t> start(extent.size(), 0);
  start[0] = static_cast<hsize_t>(first);
  must(H5Sselect_hyperslab(out.file.get(), H5S_SELECT_SET, start.data(), nullptr, extent.data(),
                           nullptr),
       doing);
  return out;
}

Hdf5Id file_access(const std::string& doing) {
  require_hdf5();
  Hdf5Id access = property_list(H5P_FILE_ACCESS, doing);
  must(H5Pset_fclose_degree(access.get(), H5F_CLOSE_STRONG), doing);
  // Some shared file systems have no locks, and nobody writes to a published file.
  must(H5Pset_file_locking(access.get(), false, true), doing);
  return access;
}

}  // namespace

std::uint64_t Hdf5Dataset::stored_bytes() const { return H5Dget_storage_size(id_.get()); }

void Hdf5Dataset::write_rows(std::int64_t first, std::int64_t count, const void* values) {
  const std::string doing = "write " + where_;
  const Selection rows = select_rows(id_.get(), spec_, first, count, where_);
  const Hdf5Id transfer = property_list(H5P_DATASET_XFER, doing);
  if (id_.collective()) {
    // Filters need collective calls. The bytes then go out rank by rank, not in MPI-IO's two
    // phases: chunks are not shared, and a rank whose write fails does not leave the others waiting
    // for its part.
    must(H5Pset_dxpl_mpio(transfer.get(), H5FD_MPIO_COLLECTIVE), doing);
    must(H5Pset_dxpl_mpio_collective_opt(transfer.get(), H5FD_MPIO_INDIVIDUAL_IO), doing);
  }
  static constexpr char kNothing = 0;
  must(H5Dwrite(id_.get(), hdf5_type(spec_.dtype).get(), rows.memory.get(), rows.file.get(),
                transfer.get(), count == 0 ? &kNothing : values),
       doing);
}

void Hdf5Dataset::place_chunks() {
  const std::string doing = "place the chunks of " + where_;
  static constexpr std::uint64_t kPlaceholder = 0;
  std::vector<hsize_t> at(spec_.shape.size(), 0);
  const auto extent = dimensions(spec_.shape);
  const auto chunk = dimensions(spec_.chunk);
  for (std::size_t i = 0; i < at.size();) {
    must(H5Dwrite_chunk(id_.get(), H5P_DEFAULT, 0, at.data(), sizeof kPlaceholder, &kPlaceholder),
         doing);
    // The next chunk, first dimension fastest: any order will do, all chunks are visited.
    for (i = 0; i < at.size() && (at[i] += chunk[i]) >= extent[i]; ++i) at[i] = 0;
  }
}

void Hdf5Dataset::read_rows(std::int64_t first, std::int64_t count, void* values) const {
  const Selection rows = select_rows(id_.get(), spec_, first, count, where_);
  must(H5Dread(id_.get(), hdf5_type(spec_.dtype).get(), rows.memory.get(), rows.file.get(),
               H5P_DEFAULT, values),
       "read " + where_);
}

void Hdf5Dataset::set_attribute(const std::string& name, const std::string& text) {
  const std::string doing = format("write attribute '{}' of {}", name, where_);
  MOESAIC_ASSERT(!text.empty() && text.size() <= kMaxText);
  const Hdf5Id type(must(H5Tcopy(H5T_C_S1), doing), H5Tclose);
  must(H5Tset_size(type.get(), text.size()), doing);
  must(H5Tset_cset(type.get(), H5T_CSET_UTF8), doing);
  must(H5Tset_strpad(type.get(), H5T_STR_NULLPAD), doing);
  const Hdf5Id space(must(H5Screate(H5S_SCALAR), doing), H5Sclose);
  Hdf5Id attribute(
      must(H5Acreate2(id_.get(), name.c_str(), type.get(), space.get(), H5P_DEFAULT, H5P_DEFAULT),
           doing),
      H5Aclose, id_.collective());
  must(H5Awrite(attribute.get(), type.get(), text.data()), doing);
  if (!attribute.close()) throw_hdf5(doing);
}

std::string Hdf5Dataset::attribute(const std::string& name) const {
  if (H5Aexists(id_.get(), name.c_str()) <= 0) return "";
  const std::string doing = format("read attribute '{}' of {}", name, where_);
  const Hdf5Id attribute(must(H5Aopen(id_.get(), name.c_str(), H5P_DEFAULT), doing), H5Aclose);
  const Hdf5Id type(must(H5Aget_type(attribute.get()), doing), H5Tclose);
  const Hdf5Id space(must(H5Aget_space(attribute.get()), doing), H5Sclose);
  const std::size_t bytes = H5Tget_size(type.get());
  const bool text = H5Tget_class(type.get()) == H5T_STRING && H5Tis_variable_str(type.get()) == 0;
  if (!text || bytes > kMaxText || H5Sget_simple_extent_npoints(space.get()) != 1) return "";
  std::string value(bytes, '\0');
  must(H5Aread(attribute.get(), type.get(), value.data()), doing);
  return value.substr(0, value.find('\0'));
}

void Hdf5Dataset::close() {
  if (!id_.close()) throw_hdf5("close " + where_);
}

Hdf5File Hdf5File::create(const std::string& path) {
  const Hdf5Id access = file_access("create " + path);
  return {Hdf5Id(must(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access.get()),
                      "create " + path),
                 H5Fclose),
          path};
}

Hdf5File Hdf5File::open(const std::string& path) {
  const Hdf5Id access = file_access("open " + path);
  return {
      Hdf5Id(must(H5Fopen(path.c_str(), H5F_ACC_RDONLY, access.get()), "open " + path), H5Fclose),
      path};
}

Hdf5File Hdf5File::open_parallel(const std::string& path, const void* mpi_comm) {
  const std::string doing = format("open {} through MPI-IO", path);
  MOESAIC_ASSERT(mpi_comm != nullptr);
  const Hdf5Id access = file_access(doing);
  must(H5Pset_fapl_mpio(access.get(), *static_cast<const MPI_Comm*>(mpi_comm), MPI_INFO_NULL),
       doing);
  return {Hdf5Id(must(H5Fopen(path.c_str(), H5F_ACC_RDWR, access.get()), doing), H5Fclose, true),
          path};
}

Hdf5Dataset Hdf5File::create_dataset(const Hdf5Spec& spec) {
  const std::string where = format("dataset '{}' of {}", spec.name, path_);
  const std::string doing = "create " + where;
  MOESAIC_ASSERT(spec.shape.size() == spec.chunk.size() && !spec.name.empty() &&
                 spec.name.size() <= kMaxHdf5Name);
  const auto extent = dimensions(spec.shape);
  const auto chunk = dimensions(spec.chunk);
  const int rank = static_cast<int>(extent.size());
  const Hdf5Id space(must(H5Screate_simple(rank, extent.data(), nullptr), doing), H5Sclose);
  const Hdf5Id properties = property_list(H5P_DATASET_CREATE, doing);
  must(H5Pset_chunk(properties.get(), rank, chunk.data()), doing);
  must(H5Pset_fletcher32(properties.get()), doing);
  must(H5Pset_fill_time(properties.get(), H5D_FILL_TIME_NEVER), doing);
  must(H5Pset_obj_track_times(properties.get(), false), doing);
  const Hdf5Id links = property_list(H5P_LINK_CREATE, doing);
  must(H5Pset_create_intermediate_group(links.get(), 1), doing);
  Hdf5Id id(must(H5Dcreate2(id_.get(), spec.name.c_str(), hdf5_type(spec.dtype).get(), space.get(),
                            links.get(), properties.get(), H5P_DEFAULT),
                 doing),
            H5Dclose, id_.collective());
  return {std::move(id), spec, where};
}

std::vector<std::string> Hdf5File::dataset_names() const { return list_datasets(id_.get(), path_); }

Hdf5Dataset Hdf5File::dataset(const std::string& name) const {
  const std::string where = format("dataset '{}' of {}", name, path_);
  Hdf5Id id(must(H5Dopen2(id_.get(), name.c_str(), H5P_DEFAULT), "open " + where), H5Dclose,
            id_.collective());
  Hdf5Spec spec = read_spec(id.get(), name, where);
  if (!id_.collective())
    check_stored_size(id.get(), spec, path_, where);  // while writing it is not full yet
  return {std::move(id), std::move(spec), where};
}

void Hdf5File::close() {
  if (!id_.close()) throw_hdf5("close " + path_);
}

}  // namespace moesaic
