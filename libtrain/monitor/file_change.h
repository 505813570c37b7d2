// FileChange: whether a file is another one than at a moment before, or was written to since.
#pragma once

#include <sys/stat.h>

#include <optional>
#include <string>

namespace moesaic {

class FileChange {
 public:
  /// That moment is now. The file need not be there.
  explicit FileChange(std::string path);

  /// False where there is no file.
  bool has_changed() const;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
  std::optional<struct stat> before_;
};

}  // namespace moesaic
