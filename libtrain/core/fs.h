// Files and folders: bounded reads, durable writes, atomic publication.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/error.h"

namespace moesaic {

/// Whole content. Throws Error(kind) that names the path when it is missing, unreadable, a folder,
/// or larger than `max_bytes`.
std::string read_file(const std::string& path, ErrorKind kind = ErrorKind::kData,
                      std::uint64_t max_bytes = std::uint64_t{1} << 32);

/// Writes to a temporary file beside `path`, fsyncs and renames: readers see the old or the new
/// content. Error(kind) when a folder, device, pipe or socket is at `path`: it stays.
void write_file_atomic(const std::string& path, std::string_view content,
                       ErrorKind kind = ErrorKind::kCheckpoint);

/// Whether what was written is on the disk when it has its name, or some time later: then a power
/// failure, but not the end of a process, may leave other bytes under the name.
enum class Sync { kNow, kLater };

/// A file that is written front to back. It has a temporary name beside its own until finish(), and
/// is gone when that is never called. Refuses to replace what write_file_atomic refuses.
class NewFile {
 public:
  /// `mode` as of chmod(2): 0600 for what nobody else may read.
  explicit NewFile(std::string path, ErrorKind kind = ErrorKind::kCheckpoint,
                   unsigned mode = 0644);
  ~NewFile();
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;

  void write(std::string_view bytes);
  /// fsync, then the rename: readers see the old or the new content.
  void finish(Sync sync = Sync::kNow);

 private:
  std::string path_;
  std::string temporary_;
  ErrorKind kind_;
  int fd_ = -1;
};

/// Appends to a file that is there, in one write, and fsyncs: durable once it returns.
void append_file(const std::string& path, std::string_view bytes,
                 ErrorKind kind = ErrorKind::kCheckpoint);

/// The bytes of a file from `offset` on, at most `max_bytes` of them: more is an Error(kind), and
/// so is a file that is shorter than `offset`.
std::string read_from(const std::string& path, std::uint64_t offset, ErrorKind kind,
                      std::uint64_t max_bytes);

/// Makes the folder and its parents; Error(kind) when not possible.
void make_folder(const std::string& path, ErrorKind kind = ErrorKind::kCheckpoint);

/// fsync of a file or folder.
void sync_path(const std::string& path, ErrorKind kind = ErrorKind::kCheckpoint);

/// rename(2), then fsync of the parent folder: durable once it returns.
void publish(const std::string& temporary, const std::string& path,
             ErrorKind kind = ErrorKind::kCheckpoint);

/// Makes `link` a relative symbolic link to `target` (a name beside it), atomically.
void point_link(const std::string& link, const std::string& target,
                ErrorKind kind = ErrorKind::kCheckpoint);

/// Bytes that an ordinary user may still write on the file system of `path`.
std::uint64_t free_bytes(const std::string& path);

/// `path` seen from the working directory, without "." and "..".
std::string absolute_path(const std::string& path);

/// Read-only memory map of a file; empty files map to an empty view.
class MappedFile {
 public:
  MappedFile() = default;
  explicit MappedFile(const std::string& path, ErrorKind kind = ErrorKind::kData);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  std::string_view bytes() const { return {data_, size_}; }

  /// Gives back the memory of these bytes, which are read from the file again when they are used:
  /// what was read once must not count as memory of this process.
  void release(std::uint64_t offset, std::uint64_t bytes) const;

 private:
  const char* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace moesaic
