#include "sites/part_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <utility>

#include "core/fs.h"
#include "core/path.h"

namespace moesaic::sites {
namespace {

std::string part_of(const std::string& path) { return path + ".part"; }

[[noreturn]] void fail_part(const std::string& path) {
  throw Error(ErrorKind::kCheckpoint, format("cannot write {}: {}", path, std::strerror(errno)),
              errno == ENOSPC ? "free some space, or choose another folder" : "");
}

void check_space(const std::string& path, std::uint64_t wanted) {
  const auto folder = std::filesystem::path(path).parent_path();
  const std::uint64_t free = free_bytes(folder.empty() ? "." : folder.string());
  if (wanted <= free) return;
  throw Error(ErrorKind::kCheckpoint,
              format("{} lacks {} bytes, {} are free on its disk", path, wanted, free),
              "free some space, or choose another folder");
}

}  // namespace

std::uint64_t PartFile::bytes_there(const std::string& path, const Blob& blob) {
  return is_file(part_of(path)) ? std::min(file_size(part_of(path)), blob.bytes) : 0;
}

PartFile::PartFile(const std::string& path, const Blob& blob, const std::function<void()>& alive)
    : path_(path), part_(part_of(path)), blob_(blob) {
  const std::uint64_t there = bytes_there(path, blob);
  check_space(path_, blob_.bytes - there);
  descriptor_ = ::open(part_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (descriptor_ < 0) fail_part(part_);
  if (there > 0) bytes_ = hash_.update_from(part_, there, alive);
  if (::ftruncate(descriptor_, static_cast<off_t>(bytes_)) != 0) fail_part(part_);
}

PartFile::~PartFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void PartFile::write(std::uint64_t offset, std::string_view piece) {
  MOESAIC_CHECK(offset == bytes_, ErrorKind::kData,
                "a piece of a file came out of order: from byte {} on, not {}", offset, bytes_);
  const std::uint64_t due = std::min<std::uint64_t>(kChunkBytes, blob_.bytes - bytes_);
  MOESAIC_CHECK(!piece.empty() && piece.size() <= due, ErrorKind::kData,
                "a piece of {} bytes came, 1 to {} are due", piece.size(), due);
  hash_.update(piece);
  while (!piece.empty()) {
    const ssize_t wrote =
        ::pwrite(descriptor_, piece.data(), piece.size(), static_cast<off_t>(bytes_));
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) fail_part(part_);
    piece.remove_prefix(static_cast<std::size_t>(wrote));
    bytes_ += static_cast<std::uint64_t>(wrote);
  }
}

void PartFile::finish() {
  MOESAIC_ASSERT(is_whole());
  ::close(std::exchange(descriptor_, -1));
  if (hash_.hex() != blob_.digest) {
    ::unlink(part_.c_str());
    throw Error(ErrorKind::kData,
                "what came of a file has another digest than was announced: it was changed on the "
                "way, or while it was sent");
  }
  if (std::rename(part_.c_str(), path_.c_str()) != 0) fail_part(path_);
}

}  // namespace moesaic::sites
