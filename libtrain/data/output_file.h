// OutputFile: results that are written as they are produced, and that have their final name only
// once they are complete.
#pragma once

#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/fs.h"

namespace moesaic {

class OutputFile {
 public:
  /// "" = standard output. A regular file stays beside its name until publish() and is gone when
  /// that is never called; a device or pipe is written at once. Error(kCheckpoint) when it cannot
  /// be written; NoReader when the reader of a pipe is gone.
  explicit OutputFile(const std::string& path);

  /// Hands the text to the kernel: a reader of a pipe has it.
  void write(std::string_view text);
  /// All is there: durable, under its name.
  void publish();

 private:
  [[noreturn]] void fail() const;

  std::string name_;  // for messages
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> stream_;
  std::optional<NewFile> file_;  // goes before the stream
};

}  // namespace moesaic
