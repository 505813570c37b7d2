// PartFile: a file that comes in piece by piece, in order, and goes on after a cut where it was.
// Until it is whole it lies in <path>.part.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "identity/sha256.h"
#include "protocol/messages.h"

namespace moesaic::sites {

class PartFile {
 public:
  /// Goes on with what is there of it. `alive` is called while that is read. Error(kCheckpoint)
  /// when the rest does not fit on the disk, or the file cannot be written.
  PartFile(const std::string& path, const Blob& blob, const std::function<void()>& alive = {});
  ~PartFile();
  PartFile(const PartFile&) = delete;
  PartFile& operator=(const PartFile&) = delete;

  /// Bytes that a file would begin with: of <path>.part, at most `blob.bytes`.
  static std::uint64_t bytes_there(const std::string& path, const Blob& blob);

  std::uint64_t bytes() const { return bytes_; }
  bool is_whole() const { return bytes_ == blob_.bytes; }

  /// Error(kData) for a piece out of order, over kChunkBytes, or past the end: nothing of it is
  /// written.
  void write(std::uint64_t offset, std::string_view piece);

  /// The file under its own name, in the cache of the system, not forced to the disk.
  /// Error(kData) when the digest is another: then all of it is gone.
  void finish();

 private:
  std::string path_;
  std::string part_;
  Blob blob_;
  std::uint64_t bytes_ = 0;
  identity::Sha256 hash_;
  int descriptor_ = -1;
};

}  // namespace moesaic::sites
