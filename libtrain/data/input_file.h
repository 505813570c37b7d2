// InputFile: sequential reading of a file or of standard input, in blocks or lines; memory does not
// grow with it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace moesaic {

class InputFile {
 public:
  /// Error(kData) when it cannot be read or is not a regular file.
  explicit InputFile(const std::string& path);
  /// Standard input, "<stdin>" in messages. While nothing comes, `idle` (if any) is called each
  /// `idle_s` seconds.
  explicit InputFile(double idle_s = 0, std::function<void()> idle = {});
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  /// The next bytes, empty at the end; valid until the next call.
  std::string_view next_block();
  /// The next line without its line feed, or carriage return and line feed; false at the end. A
  /// last line needs none. Error(kData) for a line of over `max_bytes`.
  bool next_line(std::string& line, std::size_t max_bytes);

  /// The next line of JSON: one that is not blank. Error(kData) that names what the file is where
  /// it has no lines of text, such as one that is compressed.
  bool next_filled_line(std::string& line, std::size_t max_bytes);

  /// All that is left, as one text. Error(kData) for over `max_bytes`.
  std::string rest(std::uint64_t max_bytes);

  const std::string& path() const { return path_; }
  std::uint64_t size() const { return size_; }  // 0 for standard input
  /// Of the line that next_line gave, from 1.
  std::int64_t line_number() const { return line_number_; }
  /// "path:line", for messages.
  std::string where() const;

 private:
  void wait_for_bytes() const;

  std::string path_;
  int descriptor_ = -1;
  double idle_s_ = 0;
  std::function<void()> idle_;  // empty: reading waits by itself
  std::uint64_t size_ = 0;
  std::int64_t line_number_ = 0;
  std::vector<char> buffer_;
  std::string_view rest_;  // of the buffer, not yet given as lines
};

}  // namespace moesaic
