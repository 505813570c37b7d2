// A file that grows by whole records: each append is one write to the operating system, so that a
// killed process loses at most the record under way.
#pragma once

#include <string>
#include <string_view>

namespace moesaic {

class AppendFile {
 public:
  AppendFile() = default;
  /// Makes the file when it is not there. Error(kCheckpoint) when that is not possible.
  explicit AppendFile(const std::string& path);
  AppendFile(AppendFile&& other) noexcept;
  AppendFile& operator=(AppendFile&& other) noexcept;
  ~AppendFile();

  /// Error(kCheckpoint) when the record could not be written whole.
  void append(std::string_view record);

 private:
  std::string path_;
  int fd_ = -1;
};

}  // namespace moesaic
