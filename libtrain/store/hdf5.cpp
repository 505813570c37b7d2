#include "store/hdf5.h"

#define H5_USE_110_API
#define OMPI_SKIP_MPICXX 1  // hdf5.h includes mpi.h: not its old C++ part
#include <hdf5.h>
#include <sys/stat.h>

#include <algorithm>
#include <bit>
#include <optional>
#include <type_traits>

#include "core/error.h"

namespace moesaic {
namespace {

static_assert(std::is_same_v<hid_t, std::int64_t>);
static_assert(std::endian::native == std::endian::little,
              "values go to the file as they lie in memory");

constexpr int kMaxRank = 8;
constexpr int kMaxDepth = 8;                           // of groups
constexpr std::size_t kMaxObjects = 1'000'000;         // in one file
constexpr std::size_t kMaxName = 1024;                 // of a whole path inside a file
constexpr std::size_t kMaxText = 4096;                 // of an attribute
constexpr std::uint64_t kMaxChunkBytes = 1ULL << 30U;  // HDF5 holds a whole chunk in memory
constexpr std::uint64_t kMaxDeflate = 1032;            // no deflate stream is denser than this

// Before main, hence before MPI_Init: HDF5 then does not tie its shutdown, which would flush what a
// failed save has left open and block in its collectives, to MPI_Finalize or exit.
bool start() {
  return H5dont_atexit() >= 0 && H5open() >= 0 && H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr) >= 0;
}
const bool kStarted = start();

herr_t take_description(unsigned, const H5E_error2_t* entry, void* into) {
  if (entry->desc != nullptr)
    static_cast<std::vector<std::string>*>(into)->emplace_back(entry->desc);
  return 0;
}

// The innermost description, which says most; of a failed system call only the system's words.
std::string take_reason() {
  std::vector<std::string> stack;
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, take_description, &stack);
  H5Eclear2(H5E_DEFAULT);
  if (stack.empty()) return "HDF5 gives no reason";
  static const std::string kMark = "error message = '";
  const std::size_t begin = stack[0].find(kMark);
  if (begin == std::string::npos) return stack[0];
  const std::size_t end = stack[0].find('\'', begin + kMark.size());
  return stack[0].substr(begin + kMark.size(), end - begin - kMark.size());
}

[[noreturn]] void fail(const std::string& doing) {
  const std::string reason = take_reason();
  const bool full =
      reason.find("No space") != std::string::npos || reason.find("quota") != std::string::npos;
  throw Error(ErrorKind::kCheckpoint, format("cannot {}: {}", doing, reason),
              full ? "free some space, or choose another run_dir" : "");
}

[[noreturn]] void refuse(const std::string& where, const std::string& what) {
  throw Error(ErrorKind::kCheckpoint, format("{} is refused: {}", where, what),
              "Moesaic reads only HDF5 files that it wrote itself");
}

template <class Status>
Status must(Status status, const std::string& doing) {
  if (status < 0) fail(doing);
  return status;
}

Hdf5Id property_list(hid_t type, const std::string& doing) {
  return {must(H5Pcreate(type), doing), H5Pclose};
}

// 1 sign, 8 exponent and 7 fraction bits: the upper half of a float32.
Hdf5Id bfloat16_type() {
  Hdf5Id type(H5Tcopy(H5T_IEEE_F32LE), H5Tclose);
  const hid_t id = type.get();
  const bool made = id >= 0 && H5Tset_fields(id, 15, 7, 8, 0, 7) >= 0 &&
                    H5Tset_precision(id, 16) >= 0 && H5Tset_size(id, 2) >= 0 &&
                    H5Tset_ebias(id, 127) >= 0;
  if (!made) fail("make the bfloat16 type");
  return type;
}

// The same in the file and in memory: HDF5 converts nothing.
Hdf5Id stored_type(at::ScalarType dtype) {
  switch (dtype) {
    case at::kDouble:
      return {H5Tcopy(H5T_IEEE_F64LE), H5Tclose};
    case at::kFloat:
      return {H5Tcopy(H5T_IEEE_F32LE), H5Tclose};
    case at::kLong:
      return {H5Tcopy(H5T_STD_I64LE), H5Tclose};
    case at::kBFloat16:
      return bfloat16_type();
    default:
      throw Error(ErrorKind::kInternal,
                  format("a checkpoint cannot hold {}", c10::toString(dtype)));
  }
}

std::optional<at::ScalarType> stored_dtype(hid_t type) {
  for (const auto dtype : {at::kDouble, at::kFloat, at::kBFloat16, at::kLong}) {
    if (H5Tequal(type, stored_type(dtype).get()) > 0) return dtype;
  }
  return std::nullopt;
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

// ---- what is read is not trusted ----

// Whether one of them is deflate.
bool check_filters(hid_t properties, const std::string& where) {
  bool deflate = false;
  const int filters = must(H5Pget_nfilters(properties), "read the filters of " + where);
  for (int i = 0; i < filters; ++i) {
    unsigned flags = 0;
    std::size_t parameters = 0;
    const H5Z_filter_t filter = H5Pget_filter2(properties, static_cast<unsigned>(i), &flags,
                                               &parameters, nullptr, 0, nullptr, nullptr);
    const bool known = filter == H5Z_FILTER_FLETCHER32 || filter == H5Z_FILTER_SHUFFLE ||
                       filter == H5Z_FILTER_DEFLATE;
    if (!known)
      refuse(where, format("filter {} (only Fletcher32, shuffle and deflate are read)", filter));
    deflate = deflate || filter == H5Z_FILTER_DEFLATE;
  }
  return deflate;
}

std::vector<std::int64_t> check_shape(hid_t space, const std::string& where) {
  const int rank = H5Sget_simple_extent_ndims(space);
  if (rank < 1 || rank > kMaxRank)
    refuse(where, format("{} dimensions (allowed: 1 to {})", rank, kMaxRank));
  hsize_t extent[kMaxRank];
  must(H5Sget_simple_extent_dims(space, extent, nullptr), "read the shape of " + where);
  std::uint64_t values = 1;
  for (int i = 0; i < rank; ++i) {
    if (extent[i] == 0 || __builtin_mul_overflow(values, extent[i], &values) ||
        values >= 1ULL << 56U) {
      refuse(where, format("dimension {} is {}", i, extent[i]));
    }
  }
  return {extent, extent + rank};
}

std::vector<std::int64_t> check_storage(hid_t properties, const Hdf5Spec& spec, std::size_t item,
                                        const std::string& where) {
  const H5D_layout_t layout = H5Pget_layout(properties);
  if (layout == H5D_VIRTUAL || H5Pget_external_count(properties) != 0)
    refuse(where, "its values lie in other files");
  if (layout != H5D_CHUNKED) return spec.shape;
  hsize_t chunk[kMaxRank];
  const int rank = must(H5Pget_chunk(properties, kMaxRank, chunk), "read the chunks of " + where);
  if (rank != static_cast<int>(spec.shape.size()))
    refuse(where, "its chunks have another number of dimensions");
  std::uint64_t bytes = item;
  for (int i = 0; i < rank; ++i) {
    if (chunk[i] == 0 || __builtin_mul_overflow(bytes, chunk[i], &bytes) ||
        bytes > kMaxChunkBytes) {
      refuse(where, format("a chunk of more than {} bytes", kMaxChunkBytes));
    }
  }
  return {chunk, chunk + rank};
}

// Reads and checks everything about an opened dataset but its values.
Hdf5Spec check_dataset(hid_t id, const std::string& name, const std::string& where) {
  const Hdf5Id space(H5Dget_space(id), H5Sclose);
  const Hdf5Id type(H5Dget_type(id), H5Tclose);
  const Hdf5Id properties(H5Dget_create_plist(id), H5Pclose);
  must(std::min({space.get(), type.get(), properties.get()}), "read " + where);
  Hdf5Spec spec;
  spec.name = name;
  spec.shape = check_shape(space.get(), where);
  const auto dtype = stored_dtype(type.get());
  if (!dtype) refuse(where, "its type is none of float64, float32, bfloat16 and int64");
  spec.dtype = *dtype;
  spec.chunk = check_storage(properties.get(), spec, c10::elementSize(spec.dtype), where);
  check_filters(properties.get(), where);
  return spec;
}

// A shape that the file cannot hold is found before anybody allocates it.
void check_size(hid_t id, const Hdf5Spec& spec, const std::string& path, const std::string& where) {
  struct stat status {};
  MOESAIC_CHECK(::stat(path.c_str(), &status) == 0, ErrorKind::kCheckpoint, "cannot read {}", path);
  const Hdf5Id properties(must(H5Dget_create_plist(id), "read " + where), H5Pclose);
  const std::uint64_t densest = check_filters(properties.get(), where) ? kMaxDeflate : 1;
  const std::uint64_t stored = H5Dget_storage_size(id);
  const auto file_bytes = static_cast<std::uint64_t>(status.st_size);
  const auto values = static_cast<std::uint64_t>(spec.shape[0] * spec.row_values());
  if (stored > file_bytes || values > stored * densest / c10::elementSize(spec.dtype)) {
    refuse(where,
           format("{} values in {} bytes of a file of {} bytes", values, stored, file_bytes));
  }
}

Hdf5Id file_access(const std::string& doing) {
  MOESAIC_CHECK(kStarted, ErrorKind::kInternal, "HDF5 did not start");
  Hdf5Id access = property_list(H5P_FILE_ACCESS, doing);
  must(H5Pset_fclose_degree(access.get(), H5F_CLOSE_STRONG), doing);
  // Some shared file systems have no locks, and nobody writes to a published file.
  must(H5Pset_file_locking(access.get(), false, true), doing);
  return access;
}

struct Links {
  std::vector<std::pair<std::string, H5L_type_t>> found;
  std::size_t room = 0;
};

herr_t take_link(hid_t, const char* name, const H5L_info_t* info, void* into) {
  auto& links = *static_cast<Links*>(into);
  if (links.found.size() >= links.room) return -1;
  links.found.emplace_back(name, info->type);
  return 0;
}

void walk(hid_t file, const std::string& path, const std::string& group, int depth,
          std::vector<std::string>& names) {
  if (depth > kMaxDepth) refuse(path, format("groups nested deeper than {}", kMaxDepth));
  Links links{{}, kMaxObjects - names.size()};
  hsize_t index = 0;
  must(H5Literate_by_name(file, group.empty() ? "/" : group.c_str(), H5_INDEX_NAME, H5_ITER_INC,
                          &index, take_link, &links, H5P_DEFAULT),
       format("list group '{}' of {}", group, path));
  for (const auto& [link, type] : links.found) {
    const std::string name = group.empty() ? link : group + "/" + link;
    if (type != H5L_TYPE_HARD) refuse(path, format("'{}' is a soft or external link", name));
    if (name.size() > kMaxName) refuse(path, format("a name of {} bytes", name.size()));
    H5O_info_t info;
    must(H5Oget_info_by_name2(file, name.c_str(), &info, H5O_INFO_BASIC, H5P_DEFAULT),
         format("read '{}' of {}", name, path));
    if (info.rc != 1) refuse(path, format("'{}' has {} names", name, info.rc));
    if (info.type == H5O_TYPE_GROUP) {
      walk(file, path, name, depth + 1, names);
    } else if (info.type == H5O_TYPE_DATASET) {
      names.push_back(name);
    } else {
      refuse(path, format("'{}' is neither group nor dataset", name));
    }
  }
}

}  // namespace

Hdf5Id::~Hdf5Id() {
  if (!collective_) close();
}

bool Hdf5Id::close() {
  const std::int64_t id = std::exchange(id_, -1);
  return id < 0 || close_(id) >= 0;
}

bool is_stored_dtype(at::ScalarType dtype) {
  return dtype == at::kDouble || dtype == at::kFloat || dtype == at::kBFloat16 ||
         dtype == at::kLong;
}

std::string dtype_name(at::ScalarType dtype) {
  switch (dtype) {
    case at::kDouble:
      return "float64";
    case at::kFloat:
      return "float32";
    case at::kBFloat16:
      return "bfloat16";
    case at::kLong:
      return "int64";
    default:
      return c10::toString(dtype);
  }
}

std::int64_t Hdf5Spec::row_values() const {
  std::int64_t values = 1;
  for (std::size_t i = 1; i < shape.size(); ++i) values *= shape[i];
  return values;
}

std::int64_t Hdf5Spec::row_bytes() const {
  return row_values() * static_cast<std::int64_t>(c10::elementSize(dtype));
}

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
  must(H5Dwrite(id_.get(), stored_type(spec_.dtype).get(), rows.memory.get(), rows.file.get(),
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
  must(H5Dread(id_.get(), stored_type(spec_.dtype).get(), rows.memory.get(), rows.file.get(),
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
  if (!attribute.close()) fail(doing);
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
  if (!id_.close()) fail("close " + where_);
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
                 spec.name.size() <= kMaxName);
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
  Hdf5Id id(must(H5Dcreate2(id_.get(), spec.name.c_str(), stored_type(spec.dtype).get(),
                            space.get(), links.get(), properties.get(), H5P_DEFAULT),
                 doing),
            H5Dclose, id_.collective());
  return {std::move(id), spec, where};
}

std::vector<std::string> Hdf5File::dataset_names() const {
  std::vector<std::string> names;
  walk(id_.get(), path_, "", 0, names);
  return names;
}

Hdf5Dataset Hdf5File::dataset(const std::string& name) const {
  const std::string where = format("dataset '{}' of {}", name, path_);
  Hdf5Id id(must(H5Dopen2(id_.get(), name.c_str(), H5P_DEFAULT), "open " + where), H5Dclose,
            id_.collective());
  Hdf5Spec spec = check_dataset(id.get(), name, where);
  if (!id_.collective())
    check_size(id.get(), spec, path_, where);  // while writing it is not full yet
  return {std::move(id), std::move(spec), where};
}

void Hdf5File::close() {
  if (!id_.close()) fail("close " + path_);
}

}  // namespace moesaic
