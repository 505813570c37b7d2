// ChunkFile: writes chunks to their places in an HDF5 file that was laid out (Hdf5File::lay_out).
// Any number of processes may do so at once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>

namespace moesaic {

class ChunkFile {
 public:
  explicit ChunkFile(std::string path);
  ~ChunkFile();
  ChunkFile(const ChunkFile&) = delete;
  ChunkFile& operator=(const ChunkFile&) = delete;

  const std::string& path() const { return path_; }

  /// The values of a whole chunk and their checksum. `what` is named in errors. Not durable yet:
  /// sync_path() is to follow.
  void write(std::int64_t place, const void* values, std::size_t bytes, const std::string& what);

 private:
  struct Range {
    std::int64_t begin = 0;
    std::int64_t end = 0;
  };
  void start_writeback();

  std::string path_;
  int fd_ = -1;
  Range collected_;               // written, not yet on its way to the disk
  std::deque<Range> on_its_way_;  // to the disk
  std::int64_t bytes_on_its_way_ = 0;
};

}  // namespace moesaic
