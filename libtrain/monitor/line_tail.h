// LineTail: the whole lines of a file that others write, as they come. The file may not be there
// yet, end in a line that is still being written, or be replaced by a shorter one.
#pragma once

#include <sys/stat.h>

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace moesaic {

class LineTail {
 public:
  struct Lines {
    bool from_start = false;         // of a file that took the place of the one read before
    std::vector<std::string> whole;  // without their newlines
  };

  static constexpr std::size_t kMostBytes = std::size_t{4} << 20;  // of one read, and of a line

  explicit LineTail(std::string path);

  /// What has come since the last call, at most kMostBytes: call it until nothing comes. Nothing
  /// where the file is not there, or cannot be read. A line that is too long is passed over.
  Lines read();

  /// Whether the file is another one than when this tail was made, or was written to.
  bool has_changed() const;

 private:
  struct State {
    dev_t device = 0;
    ino_t inode = 0;
    off_t size = 0;
    timespec written = {};
  };
  static std::optional<State> state_of(const std::string& path);

  Lines take(std::string bytes, bool all_of_it);

  std::string path_;
  std::optional<State> at_first_;
  State seen_;        // the file that is read from, at the last read
  off_t offset_ = 0;  // after the last whole line
  bool in_long_line_ = false;
};

}  // namespace moesaic
