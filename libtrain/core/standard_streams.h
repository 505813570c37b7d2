// Standard input, output and error as a program needs them: all three there, and its output known
// to be written.
#pragma once

#include <string>
#include <string_view>

#include "core/error.h"

namespace moesaic {

/// Exit code of a program whose output nobody reads any more, as the shell gives it for one that
/// SIGPIPE ends.
inline constexpr int kExitNoReader = 128 + 13;

/// The reader of a pipe has gone before all was written: it has seen enough, so the program ends
/// without a word.
class NoReader : public Error {
 public:
  explicit NoReader(const std::string& name);
};

/// First in main. Descriptors 0, 1 and 2 that are closed become /dev/null: the next file or socket
/// would get their number, and be read or written by mistake. A write to a pipe without a reader or
/// beyond the limit of a file's size fails, and no longer ends the process.
void open_standard_streams();

/// The error of a write to `name` that failed with this errno: NoReader, or Error(kCheckpoint).
[[noreturn]] void throw_write_error(const std::string& name, int code);

/// To the buffer of standard output: for output that goes on for long, which must end with its
/// reader. Throws as above.
void write_stdout(std::string_view text);

/// What standard output still holds goes on. Throws as above, also when an earlier write has
/// failed.
void flush_stdout();

/// "standard output cannot be written (...): no more progress is shown"; of a job that goes on
/// without its reader.
std::string console_lost(int code);

}  // namespace moesaic
