#include "store/hdf5_layout.h"

#define H5_USE_110_API
#define OMPI_SKIP_MPICXX 1  // hdf5.h includes mpi.h: not its old C++ part
#include <fcntl.h>
#include <hdf5.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

namespace moesaic {
namespace {

struct LayoutFile {
  H5FD_t base = {};  // first, as HDF5 demands
  int fd = -1;
  haddr_t allocated = 0;  // end of what HDF5 has given out
};

LayoutFile& layout(H5FD_t* file) { return *reinterpret_cast<LayoutFile*>(file); }
const LayoutFile& layout(const H5FD_t* file) { return *reinterpret_cast<const LayoutFile*>(file); }

// Callbacks of C: nothing here may throw. The system's words go where throw_hdf5() finds them.
herr_t fail(const char* doing, int code) {
  H5Epush2(H5E_DEFAULT, __FILE__, doing, 0, H5E_ERR_CLS, H5E_IO, H5E_WRITEERROR, "%s",
           std::strerror(code));
  return -1;
}

H5FD_t* open_file(const char* name, unsigned flags, hid_t, haddr_t) {
  const int mode = O_RDWR | O_CLOEXEC | ((flags & H5F_ACC_CREAT) != 0 ? O_CREAT : 0) |
                   ((flags & H5F_ACC_TRUNC) != 0 ? O_TRUNC : 0);
  const int fd = ::open(name, mode, 0666);
  if (fd < 0) {
    fail("open", errno);
    return nullptr;
  }
  auto file = std::make_unique<LayoutFile>();
  file->fd = fd;
  return &file.release()->base;
}

herr_t close_file(H5FD_t* base) {
  const std::unique_ptr<LayoutFile> file(&layout(base));
  return ::close(file->fd) == 0 ? 0 : fail("close", errno);
}

herr_t query(const H5FD_t*, unsigned long* flags) {
  *flags =
      H5FD_FEAT_AGGREGATE_METADATA | H5FD_FEAT_ACCUMULATE_METADATA | H5FD_FEAT_AGGREGATE_SMALLDATA;
  return 0;
}

haddr_t get_allocated(const H5FD_t* file, H5FD_mem_t) { return layout(file).allocated; }
herr_t set_allocated(H5FD_t* file, H5FD_mem_t, haddr_t address) {
  layout(file).allocated = address;
  return 0;
}

haddr_t get_end(const H5FD_t* file, H5FD_mem_t) {
  struct stat status {};
  if (::fstat(layout(file).fd, &status) == 0) return static_cast<haddr_t>(status.st_size);
  fail("stat", errno);
  return HADDR_UNDEF;
}

herr_t read(H5FD_t* file, H5FD_mem_t, hid_t, haddr_t at, size_t size, void* into) {
  auto* bytes = static_cast<char*>(into);
  while (size > 0) {
    const ssize_t got = ::pread(layout(file).fd, bytes, size, static_cast<off_t>(at));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail("read", errno);
    if (got == 0) {  // not written yet
      std::memset(bytes, 0, size);
      break;
    }
    bytes += got;
    at += static_cast<haddr_t>(got);
    size -= static_cast<size_t>(got);
  }
  return 0;
}

herr_t write(H5FD_t* file, H5FD_mem_t type, hid_t, haddr_t at, size_t size, const void* from) {
  if (type == H5FD_MEM_DRAW) return 0;
  const auto* bytes = static_cast<const char*>(from);
  while (size > 0) {
    const ssize_t wrote = ::pwrite(layout(file).fd, bytes, size, static_cast<off_t>(at));
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) return fail("write", wrote < 0 ? errno : EIO);
    bytes += wrote;
    at += static_cast<haddr_t>(wrote);
    size -= static_cast<size_t>(wrote);
  }
  return 0;
}

// Makes the file as long as what was allocated in it: values at its end were not written.
herr_t truncate(H5FD_t* file, hid_t, hbool_t) {
  const auto size = static_cast<off_t>(layout(file).allocated);
  return ::ftruncate(layout(file).fd, size) == 0 ? 0 : fail("truncate", errno);
}

H5FD_class_t driver() {
  H5FD_class_t driver = {};
  driver.name = "moesaic_layout";
  driver.maxaddr = (haddr_t{1} << 62U) - 1;
  driver.fc_degree = H5F_CLOSE_STRONG;
  driver.open = open_file;
  driver.close = close_file;
  driver.query = query;
  driver.get_eoa = get_allocated;
  driver.set_eoa = set_allocated;
  driver.get_eof = get_end;
  driver.read = read;
  driver.write = write;
  driver.truncate = truncate;
  // All metadata share one space, values have another, as in HDF5's own drivers. (A global heap
  // would count as values; nothing that a checkpoint holds needs one.)
  for (H5FD_mem_t& kind : driver.fl_map) kind = H5FD_MEM_SUPER;
  driver.fl_map[H5FD_MEM_DRAW] = driver.fl_map[H5FD_MEM_GHEAP] = H5FD_MEM_DRAW;
  return driver;
}

}  // namespace

Hdf5Id layout_driver() {
  const H5FD_class_t own = driver();  // HDF5 keeps a copy
  return {must(H5FDregister(&own), "register a file driver"), H5FDunregister};
}

}  // namespace moesaic
