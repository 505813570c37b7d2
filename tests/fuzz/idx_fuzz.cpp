// fuzz: libtrain/core/{error,fs,path}.cpp libtrain/config/idx_file.cpp
// libraries: -lz
// An IDX file, plain or gzip: what its header promises must be there.
#include <sys/mman.h>
#include <unistd.h>

#include "config/idx_file.h"
#include "core/error.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace moesaic;
  const int file = ::memfd_create("idx", MFD_CLOEXEC);
  if (file < 0 || ::write(file, data, size) != static_cast<ssize_t>(size)) __builtin_trap();
  try {
    IdxFile idx("/proc/self/fd/" + std::to_string(file));
    const auto values = static_cast<std::int64_t>(idx.read().size());
    if (values != idx.items() * idx.item_values()) __builtin_trap();
  } catch (const Error&) {
  }
  ::close(file);
  return 0;
}
