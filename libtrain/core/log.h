// Leveled log lines to a per-rank file, and on the chief also to stderr. A value that is passed
// down.
#pragma once

#include <cstdio>
#include <memory>
#include <string>

#include "core/format.h"

namespace moesaic {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

class Log {
 public:
  struct Options {
    int rank = 0;
    std::string file;     // "" = no file
    bool console = true;  // lines of kInfo and above also to stderr
    LogLevel level = LogLevel::kInfo;
  };

  Log() : Log(Options{}) {}
  explicit Log(const Options& options);

  template <class... Args>
  void debug(fmt::format_string<Args...> text, Args&&... args) const {
    write(LogLevel::kDebug, format(text, std::forward<Args>(args)...));
  }
  template <class... Args>
  void info(fmt::format_string<Args...> text, Args&&... args) const {
    write(LogLevel::kInfo, format(text, std::forward<Args>(args)...));
  }
  template <class... Args>
  void warn(fmt::format_string<Args...> text, Args&&... args) const {
    write(LogLevel::kWarning, format(text, std::forward<Args>(args)...));
  }
  template <class... Args>
  void error(fmt::format_string<Args...> text, Args&&... args) const {
    write(LogLevel::kError, format(text, std::forward<Args>(args)...));
  }

 private:
  void write(LogLevel level, const std::string& text) const;

  Options options_;
  std::shared_ptr<std::FILE> file_;
};

}  // namespace moesaic
