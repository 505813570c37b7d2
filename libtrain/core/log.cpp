#include "core/log.h"

#include "core/clock.h"
#include "core/error.h"

namespace moesaic {

Log::Log(const Options& options) : options_(options) {
  if (options.file.empty()) return;
  file_.reset(std::fopen(options.file.c_str(), "a"), [](std::FILE* f) {
    if (f != nullptr) std::fclose(f);
  });
  MOESAIC_CHECK(file_ != nullptr, ErrorKind::kCheckpoint, "cannot write the log file {}",
                options.file);
}

void Log::write(LogLevel level, const std::string& text) const {
  if (level < options_.level) return;
  static constexpr const char* kNames[] = {"debug", "info", "warning", "error"};
  const char* name = kNames[static_cast<int>(level)];
  if (file_ != nullptr) {
    std::fputs(format("{} rank {} {}: {}\n", utc_time(), options_.rank, name, text).c_str(),
               file_.get());
    std::fflush(file_.get());
  }
  if (!options_.console) return;
  const bool plain = level == LogLevel::kInfo;
  std::fputs((plain ? text + "\n" : format("{}: {}\n", name, text)).c_str(), stderr);
}

}  // namespace moesaic
