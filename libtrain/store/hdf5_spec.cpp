#include "store/hdf5_spec.h"

#define H5_USE_110_API
#define OMPI_SKIP_MPICXX 1  // hdf5.h includes mpi.h: not its old C++ part
#include <hdf5.h>
#include <sys/stat.h>

#include <algorithm>

#include "core/error.h"

namespace moesaic {
namespace {

constexpr int kMaxRank = 8;
constexpr int kMaxDepth = 8;                           // of groups
constexpr std::size_t kMaxObjects = 1'000'000;         // in one file
constexpr std::uint64_t kMaxChunkBytes = 1ULL << 30U;  // HDF5 holds a whole chunk in memory
constexpr std::uint64_t kMaxDeflate = 100;             // no weights are this dense: a bomb

[[noreturn]] void refuse(const std::string& where, const std::string& what) {
  throw Error(ErrorKind::kCheckpoint, format("{} is refused: {}", where, what),
              "Moesaic reads only HDF5 files that it wrote itself");
}

constexpr at::ScalarType kStored[] = {at::kDouble, at::kFloat, at::kHalf, at::kBFloat16, at::kLong};

/// A float of 2 bytes: sign, exponent, fraction.
Hdf5Id two_byte_float(std::size_t exponent_bits, std::size_t bias) {
  Hdf5Id type(H5Tcopy(H5T_IEEE_F32LE), H5Tclose);
  const hid_t id = type.get();
  const std::size_t fraction_bits = 15 - exponent_bits;
  const bool made =
      id >= 0 && H5Tset_fields(id, 15, fraction_bits, exponent_bits, 0, fraction_bits) >= 0 &&
      H5Tset_precision(id, 16) >= 0 && H5Tset_size(id, 2) >= 0 && H5Tset_ebias(id, bias) >= 0;
  if (!made) throw_hdf5("make a 2-byte float type");
  return type;
}

std::optional<at::ScalarType> stored_dtype(hid_t type) {
  for (const auto dtype : kStored) {
    if (H5Tequal(type, hdf5_type(dtype).get()) > 0) return dtype;
  }
  return std::nullopt;
}

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
    if (name.size() > kMaxHdf5Name) refuse(path, format("a name of {} bytes", name.size()));
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

bool is_stored_dtype(at::ScalarType dtype) {
  return std::find(std::begin(kStored), std::end(kStored), dtype) != std::end(kStored);
}

std::string dtype_name(at::ScalarType dtype) {
  switch (dtype) {
    case at::kDouble:
      return "float64";
    case at::kFloat:
      return "float32";
    case at::kHalf:
      return "float16";
    case at::kBFloat16:
      return "bfloat16";
    case at::kLong:
      return "int64";
    default:
      return c10::toString(dtype);
  }
}

std::optional<at::ScalarType> dtype_named(const std::string& name) {
  for (const auto dtype : kStored) {
    if (dtype_name(dtype) == name) return dtype;
  }
  return std::nullopt;
}

std::int64_t Hdf5Spec::row_values() const {
  std::int64_t values = 1;
  for (std::size_t i = 1; i < shape.size(); ++i) values *= shape[i];
  return values;
}

std::int64_t Hdf5Spec::row_bytes() const {
  return row_values() * static_cast<std::int64_t>(c10::elementSize(dtype));
}

Hdf5Id hdf5_type(at::ScalarType dtype) {
  switch (dtype) {
    case at::kDouble:
      return {H5Tcopy(H5T_IEEE_F64LE), H5Tclose};
    case at::kFloat:
      return {H5Tcopy(H5T_IEEE_F32LE), H5Tclose};
    case at::kLong:
      return {H5Tcopy(H5T_STD_I64LE), H5Tclose};
    case at::kHalf:
      return two_byte_float(5, 15);
    case at::kBFloat16:
      return two_byte_float(8, 127);
    default:
      throw Error(ErrorKind::kInternal,
                  format("a checkpoint cannot hold {}", c10::toString(dtype)));
  }
}

Hdf5Spec read_spec(std::int64_t id, const std::string& name, const std::string& where) {
  const Hdf5Id space(H5Dget_space(id), H5Sclose);
  const Hdf5Id type(H5Dget_type(id), H5Tclose);
  const Hdf5Id properties(H5Dget_create_plist(id), H5Pclose);
  must(std::min({space.get(), type.get(), properties.get()}), "read " + where);
  Hdf5Spec spec;
  spec.name = name;
  spec.shape = check_shape(space.get(), where);
  const auto dtype = stored_dtype(type.get());
  if (!dtype) refuse(where, "its type is none of float64, float32, float16, bfloat16 and int64");
  spec.dtype = *dtype;
  spec.chunk = check_storage(properties.get(), spec, c10::elementSize(spec.dtype), where);
  check_filters(properties.get(), where);
  return spec;
}

void check_stored_size(std::int64_t id, const Hdf5Spec& spec, const std::string& path,
                       const std::string& where) {
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

std::vector<std::string> list_datasets(std::int64_t file, const std::string& path) {
  std::vector<std::string> names;
  walk(file, path, "", 0, names);
  return names;
}

}  // namespace moesaic
