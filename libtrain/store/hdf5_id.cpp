#include "store/hdf5_id.h"

#define H5_USE_110_API
#define OMPI_SKIP_MPICXX 1  // hdf5.h includes mpi.h: not its old C++ part
#include <hdf5.h>

#include <type_traits>
#include <vector>

#include "core/error.h"

namespace moesaic {
namespace {

static_assert(std::is_same_v<hid_t, std::int64_t>);

// Before main, hence before MPI_Init: HDF5 then does not tie its shutdown, which would flush what a
// failed save has left, to MPI_Finalize or exit.
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

}  // namespace

bool Hdf5Id::close() {
  const std::int64_t id = std::exchange(id_, -1);
  return id < 0 || close_(id) >= 0;
}

void throw_hdf5(const std::string& doing) {
  const std::string reason = take_reason();
  const bool full = reason.find("No space") != std::string::npos ||
                    reason.find("quota") != std::string::npos ||
                    reason.find("too large") != std::string::npos;
  throw Error(ErrorKind::kCheckpoint, format("cannot {}: {}", doing, reason),
              full ? "the disk may be full, or a quota or file size limit reached: free some "
                     "space, lower checkpoint.keep, or choose another run_dir"
                   : "");
}

Hdf5Id variable_text_type(const std::string& doing) {
  Hdf5Id type(must(H5Tcopy(H5T_C_S1), doing), H5Tclose);
  must(H5Tset_size(type.get(), H5T_VARIABLE), doing);
  must(H5Tset_cset(type.get(), H5T_CSET_UTF8), doing);
  return type;
}

void require_hdf5() { MOESAIC_CHECK(kStarted, ErrorKind::kInternal, "HDF5 did not start"); }

}  // namespace moesaic
