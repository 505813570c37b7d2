#include "store/chunk_file.h"

#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "core/error.h"
#include "store/fletcher32.h"

namespace moesaic {
namespace {

// The disk begins while the next chunks are prepared: at the end little is left to wait for.
constexpr std::int64_t kWritebackBytes = 8 << 20;
// More would make the last fsync longer than a rank may be silent, on a slow disk.
constexpr std::int64_t kMostOnItsWay = 1LL << 30U;

[[noreturn]] void fail(const std::string& what, int code) {
  const bool full = code == ENOSPC || code == EDQUOT || code == EFBIG;
  throw Error(ErrorKind::kCheckpoint, format("cannot write {}: {}", what, std::strerror(code)),
              full ? "the disk is full, or a quota or file size limit reached: free some space, "
                     "lower checkpoint.keep, or choose another run_dir"
                   : "");
}

/// All of `parts`, however little the system takes at once.
void write_all(int fd, std::int64_t place, std::array<iovec, 2> parts, const std::string& what) {
  std::size_t first = 0;
  while (first < parts.size()) {
    const ssize_t wrote =
        ::pwritev(fd, &parts.at(first), static_cast<int>(parts.size() - first), place);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) fail(what, wrote < 0 ? errno : EIO);
    place += wrote;
    for (auto left = static_cast<std::size_t>(wrote); first < parts.size(); ++first) {
      iovec& part = parts.at(first);
      const std::size_t taken = std::min(left, part.iov_len);
      part.iov_base = static_cast<char*>(part.iov_base) + taken;
      part.iov_len -= taken;
      left -= taken;
      if (part.iov_len > 0) break;
    }
  }
}

}  // namespace

ChunkFile::ChunkFile(std::string path) : path_(std::move(path)) {
  fd_ = ::open(path_.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd_ < 0) fail(path_, errno);
}

ChunkFile::~ChunkFile() { ::close(fd_); }

void ChunkFile::write(std::int64_t place, const void* values, std::size_t bytes,
                      const std::string& what) {
  std::uint32_t checksum = fletcher32(values, bytes);
  // writev takes pointers to non-const for both directions; it only reads here.
  write_all(fd_, place, {{{const_cast<void*>(values), bytes}, {&checksum, sizeof checksum}}}, what);
  const auto end = place + static_cast<std::int64_t>(bytes + sizeof checksum);
  const bool goes_on = place >= collected_.end && place - collected_.end < kWritebackBytes;
  if (!goes_on) start_writeback();
  if (collected_.end == 0) collected_.begin = place;
  collected_.end = end;
  if (collected_.end - collected_.begin >= kWritebackBytes) start_writeback();
}

// Only hints: where the file system has none of it, fsync does it all.
void ChunkFile::start_writeback() {
  const std::int64_t bytes = collected_.end - collected_.begin;
  if (bytes == 0) return;
  ::sync_file_range(fd_, collected_.begin, bytes, SYNC_FILE_RANGE_WRITE);
  on_its_way_.push_back(std::exchange(collected_, {}));
  bytes_on_its_way_ += bytes;
  while (bytes_on_its_way_ > kMostOnItsWay) {
    const Range oldest = on_its_way_.front();
    on_its_way_.pop_front();
    bytes_on_its_way_ -= oldest.end - oldest.begin;
    ::sync_file_range(
        fd_, oldest.begin, oldest.end - oldest.begin,
        SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
  }
}

}  // namespace moesaic
