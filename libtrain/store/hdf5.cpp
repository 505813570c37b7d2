#include "store/hdf5.h"

#define H5_USE_110_API
#define OMPI_SKIP_MPICXX 1  // hdf5.h includes mpi.h: not its old C++ part
#include <hdf5.h>

#include <algorithm>
#include <bit>
#include <fstream>
#include <string_view>

#include "core/error.h"
#include "store/chunk_grid.h"
#include "store/hdf5_layout.h"

namespace moesaic {
namespace {

static_assert(std::endian::native == std::endian::little,
              "values go to the file as they lie in memory");

constexpr std::size_t kMaxText = 4096;  // of an attribute
constexpr hsize_t kPageBytes = 4096;
constexpr hsize_t kAlignedFrom = 64 << 10;  // smaller chunks would be mostly air

Hdf5Id property_list(hid_t type, const std::string& doing) {
  return {must(H5Pcreate(type), doing), H5Pclose};
}

std::vector<hsize_t> dimensions(const std::vector<std::int64_t>& shape) {
  return {shape.begin(), shape.end()};
}

// Rows [first, first + count) in the file and as many values in memory.
struct Selection {
  Hdf5Id file;
  Hdf5Id memory;
};

// The memory has the dimensions of the rows, not one: HDF5 matches equal shapes chunk by chunk, but
// walks value by value through others (measured: four times the time of the whole write).
Selection select_rows(hid_t dataset, const Hdf5Spec& spec, std::int64_t first, std::int64_t count,
                      const std::string& where) {
  MOESAIC_ASSERT(first >= 0 && count > 0 && first + count <= spec.shape[0]);
  const std::string doing = "select rows of " + where;
  std::vector<hsize_t> extent = dimensions(spec.shape);
  extent[0] = static_cast<hsize_t>(count);
  const int rank = static_cast<int>(extent.size());
  Selection out{{must(H5Dget_space(dataset), doing), H5Sclose},
                {must(H5Screate_simple(rank, extent.data(), nullptr), doing), H5Sclose}};
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

// Attributes of a dataset or file, which `where` names.
void write_attribute(const Hdf5Id& object, const std::string& name, hid_t type, const void* value,
                     const std::string& doing) {
  const Hdf5Id space(must(H5Screate(H5S_SCALAR), doing), H5Sclose);
  Hdf5Id attribute(
      must(H5Acreate2(object.get(), name.c_str(), type, space.get(), H5P_DEFAULT, H5P_DEFAULT),
           doing),
      H5Aclose);
  must(H5Awrite(attribute.get(), type, value), doing);
  if (!attribute.close()) throw_hdf5(doing);
}

void write_text(const Hdf5Id& object, const std::string& name, const std::string& text,
                const std::string& where) {
  const std::string doing = format("write attribute '{}' of {}", name, where);
  MOESAIC_ASSERT(!text.empty() && text.size() <= kMaxText);
  const Hdf5Id type(must(H5Tcopy(H5T_C_S1), doing), H5Tclose);
  must(H5Tset_size(type.get(), text.size()), doing);
  must(H5Tset_cset(type.get(), H5T_CSET_UTF8), doing);
  must(H5Tset_strpad(type.get(), H5T_STR_NULLPAD), doing);
  write_attribute(object, name, type.get(), text.data(), doing);
}

void write_variable_text(const Hdf5Id& object, const std::string& name, const std::string& text,
                         const std::string& where) {
  const std::string doing = format("write attribute '{}' of {}", name, where);
  MOESAIC_ASSERT(!text.empty() && text.size() <= kMaxText);
  const Hdf5Id type = variable_text_type(doing);
  const char* characters = text.c_str();
  write_attribute(object, name, type.get(), static_cast<const void*>(&characters), doing);
}

// What is there under a name, if it is one value.
struct OpenAttribute {
  Hdf5Id id;
  Hdf5Id type;
};

std::optional<OpenAttribute> open_attribute(const Hdf5Id& object, const std::string& name,
                                            const std::string& doing) {
  if (H5Aexists(object.get(), name.c_str()) <= 0) return std::nullopt;
  OpenAttribute out;
  out.id = Hdf5Id(must(H5Aopen(object.get(), name.c_str(), H5P_DEFAULT), doing), H5Aclose);
  out.type = Hdf5Id(must(H5Aget_type(out.id.get()), doing), H5Tclose);
  const Hdf5Id space(must(H5Aget_space(out.id.get()), doing), H5Sclose);
  if (H5Sget_simple_extent_npoints(space.get()) != 1) return std::nullopt;
  return out;
}

std::string read_variable_text(const OpenAttribute& attribute, const std::string& doing) {
  char* characters = nullptr;
  must(H5Aread(attribute.id.get(), attribute.type.get(), static_cast<void*>(&characters)), doing);
  const std::string value(characters == nullptr ? "" : characters);
  must(H5free_memory(characters), doing);
  return value.size() <= kMaxText ? value : "";
}

std::string read_text(const Hdf5Id& object, const std::string& name, const std::string& where) {
  const std::string doing = format("read attribute '{}' of {}", name, where);
  const auto attribute = open_attribute(object, name, doing);
  if (!attribute) return "";
  const hid_t type = attribute->type.get();
  const std::size_t bytes = H5Tget_size(type);
  if (H5Tget_class(type) != H5T_STRING) return "";
  if (H5Tis_variable_str(type) > 0) return read_variable_text(*attribute, doing);
  if (bytes > kMaxText) return "";
  std::string value(bytes, '\0');
  must(H5Aread(attribute->id.get(), type, value.data()), doing);
  return value.substr(0, value.find('\0'));
}

// Of the chunk that begins there.
struct ChunkInfo {
  haddr_t address = HADDR_UNDEF;
  hsize_t bytes = 0;
  unsigned skipped_filters = 0;
};

ChunkInfo chunk_info(const Hdf5Id& dataset, const std::vector<hsize_t>& start,
                     const std::string& doing) {
  ChunkInfo info;
  must(H5Dget_chunk_info_by_coord(dataset.get(), start.data(), &info.skipped_filters, &info.address,
                                  &info.bytes),
       doing);
  return info;
}

}  // namespace

std::uint64_t Hdf5Dataset::stored_bytes() const { return H5Dget_storage_size(id_.get()); }

std::vector<std::int64_t> Hdf5Dataset::place_chunks() {
  const std::string doing = "place the chunks of " + where_;
  const ChunkGrid grid(spec_);
  static constexpr char kNothing = 0;  // the layout driver does not look at values
  std::vector<std::int64_t> places;
  places.reserve(static_cast<std::size_t>(grid.count()));
  for (std::int64_t i = 0; i < grid.count(); ++i) {
    const auto start = dimensions(grid.start(i));
    must(H5Dwrite_chunk(id_.get(), H5P_DEFAULT, 0, start.data(), grid.stored_bytes(), &kNothing),
         doing);
    const ChunkInfo info = chunk_info(id_, start, doing);
    MOESAIC_ASSERT(info.address != HADDR_UNDEF && info.bytes == grid.stored_bytes());
    places.push_back(static_cast<std::int64_t>(info.address));
  }
  return places;
}

std::vector<StoredChunk> Hdf5Dataset::stored_chunks() const {
  const std::string doing = "find the chunks of " + where_;
  const Hdf5Id properties(must(H5Dget_create_plist(id_.get()), doing), H5Pclose);
  if (H5Pget_layout(properties.get()) != H5D_CHUNKED) return {};
  const Hdf5Id space(must(H5Dget_space(id_.get()), doing), H5Sclose);
  const ChunkGrid grid(spec_);
  hsize_t count = 0;
  must(H5Dget_num_chunks(id_.get(), space.get(), &count), doing);
  bool whole = count == static_cast<hsize_t>(grid.count());
  std::vector<StoredChunk> chunks;
  for (std::int64_t i = 0; whole && i < grid.count(); ++i) {
    const ChunkInfo info = chunk_info(id_, dimensions(grid.start(i)), doing);
    whole = info.address != HADDR_UNDEF && info.skipped_filters == 0;
    chunks.push_back({.place = info.address, .bytes = info.bytes});
  }
  MOESAIC_CHECK(whole, ErrorKind::kCheckpoint, "the table of chunks of {} is damaged", where_);
  return chunks;
}

void Hdf5Dataset::read_rows(std::int64_t first, std::int64_t count, void* values) const {
  const Selection rows = select_rows(id_.get(), spec_, first, count, where_);
  must(H5Dread(id_.get(), hdf5_type(spec_.dtype).get(), rows.memory.get(), rows.file.get(),
               H5P_DEFAULT, values),
       "read " + where_);
}

void Hdf5Dataset::set_attribute(const std::string& name, const std::string& text) {
  write_text(id_, name, text, where_);
}

std::string Hdf5Dataset::attribute(const std::string& name) const {
  return read_text(id_, name, where_);
}

void Hdf5Dataset::close() {
  if (!id_.close()) throw_hdf5("close " + where_);
}

Hdf5File Hdf5File::lay_out(const std::string& path) {
  const std::string doing = "create " + path;
  const Hdf5Id access = file_access(doing);
  const Hdf5Id driver = layout_driver();
  must(H5Pset_driver(access.get(), driver.get(), nullptr), doing);
  // No two ranks write to the same page, and pages are written whole.
  must(H5Pset_alignment(access.get(), kAlignedFrom, kPageBytes), doing);
  return {Hdf5Id(must(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access.get()), doing),
                 H5Fclose),
          path};
}

Hdf5File Hdf5File::open(const std::string& path) { return opened(path, H5F_ACC_RDONLY); }

Hdf5File Hdf5File::open_to_describe(const std::string& path) { return opened(path, H5F_ACC_RDWR); }

Hdf5File Hdf5File::opened(const std::string& path, unsigned how) {
  const Hdf5Id access = file_access("open " + path);
  return {Hdf5Id(must(H5Fopen(path.c_str(), how, access.get()), "open " + path), H5Fclose), path};
}

bool Hdf5File::is_at(const std::string& path) {
  constexpr std::string_view kSignature = "\x89HDF\r\n\x1a\n";
  char bytes[kSignature.size()] = {};
  std::ifstream(path, std::ios::binary).read(bytes, sizeof bytes);
  return path.ends_with(".h5") || std::string_view(bytes, sizeof bytes) == kSignature;
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
            H5Dclose);
  return {std::move(id), spec, where};
}

std::vector<std::string> Hdf5File::dataset_names() const { return list_datasets(id_.get(), path_); }

Hdf5Dataset Hdf5File::dataset(const std::string& name) const {
  const std::string where = format("dataset '{}' of {}", name, path_);
  Hdf5Id id(must(H5Dopen2(id_.get(), name.c_str(), H5P_DEFAULT), "open " + where), H5Dclose);
  Hdf5Spec spec = read_spec(id.get(), name, where);
  check_stored_size(id.get(), spec, path_, where);
  return {std::move(id), std::move(spec), where};
}

void Hdf5File::set_attribute(const std::string& name, const std::string& text) {
  write_variable_text(id_, name, text, path_);
}

void Hdf5File::set_attribute(const std::string& name, std::int64_t number) {
  write_attribute(id_, name, H5T_NATIVE_INT64, &number,
                  format("write attribute '{}' of {}", name, path_));
}

std::string Hdf5File::attribute(const std::string& name) const {
  return read_text(id_, name, path_);
}

std::optional<std::int64_t> Hdf5File::number_attribute(const std::string& name) const {
  const std::string doing = format("read attribute '{}' of {}", name, path_);
  const auto attribute = open_attribute(id_, name, doing);
  if (!attribute || H5Tget_class(attribute->type.get()) != H5T_INTEGER) return std::nullopt;
  std::int64_t number = 0;
  must(H5Aread(attribute->id.get(), H5T_NATIVE_INT64, &number), doing);
  return number;
}

void Hdf5File::close() {
  if (!id_.close()) throw_hdf5("close " + path_);
}

}  // namespace moesaic
