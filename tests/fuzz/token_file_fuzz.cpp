// fuzz: libtrain/core/{error,fs,path,digest}.cpp libtrain/data/token_file.cpp
// libraries: -lxxhash
// A token file. The digest of its header is made right, so that what the checks after it refuse is
// reached; what they let through must be readable from end to end.
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <vector>

#include "data/token_file.h"

namespace {

void read_all(const moesaic::TokenFile& file) {
  const auto count = static_cast<std::size_t>(file.ids());
  std::vector<std::int64_t> ids(count);
  file.copy_ids(0, file.ids(), ids.data());
  std::int64_t targets = file.ids();
  if (file.has_target_bits()) {
    std::vector<std::uint8_t> bits(count);
    file.copy_target_bits(0, file.ids(), bits.data());
    targets = 0;
    for (const std::uint8_t bit : bits) targets += bit;
  }
  if (file.targets(0, file.ids()) != targets) __builtin_trap();
  std::size_t name_bytes = 0;
  for (std::int64_t i = 0; i < file.documents(); ++i) {
    if (file.document_start(i) >= file.document_start(i + 1)) __builtin_trap();
    if (file.owners() > 0) name_bytes += file.owner_name(file.owner(i)).size();
  }
  for (std::int64_t i = 0; i < file.owners(); ++i) {
    for (const char c : file.owner_name(i)) name_bytes += static_cast<unsigned char>(c);
  }
  volatile std::size_t read = name_bytes;
  (void)read;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace moesaic;
  std::vector<char> content(data, data + size);
  TokenFileHeader header;
  if (size >= sizeof header) {
    std::memcpy(&header, content.data(), sizeof header);
    header.digest().copy(header.header_digest, sizeof header.header_digest);
    std::memcpy(content.data(), &header, sizeof header);
  }
  const int file = ::memfd_create("token_file", MFD_CLOEXEC);
  if (file < 0 || ::write(file, content.data(), size) != static_cast<ssize_t>(size))
    __builtin_trap();
  try {
    read_all(*TokenFile::open("/proc/self/fd/" + std::to_string(file)));
  } catch (const Error&) {
  }
  ::close(file);
  return 0;
}
