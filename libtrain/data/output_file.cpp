#include "data/output_file.h"

#include <cerrno>
#include <filesystem>

#include "core/error.h"
#include "core/standard_streams.h"

namespace moesaic {
namespace {

namespace fs = std::filesystem;

int keep_open(std::FILE*) { return 0; }

// What a rename would replace: the file that a symbolic link names, and not the link.
std::string target_of(const std::string& path) {
  std::error_code code;
  const fs::path target = fs::canonical(path, code);
  return code ? path : target.string();
}

}  // namespace

OutputFile::OutputFile(const std::string& path)
    : name_(path.empty() ? "<stdout>" : path), stream_(nullptr, &std::fclose) {
  if (path.empty()) {
    stream_ = {stdout, &keep_open};
    return;
  }
  std::error_code code;
  const fs::file_status status = fs::status(path, code);
  MOESAIC_CHECK(!fs::is_directory(status), ErrorKind::kCheckpoint,
                "cannot write {}: it is a folder", path);
  if (!fs::exists(status) || fs::is_regular_file(status)) {
    file_.emplace(target_of(path));
    return;
  }
  stream_.reset(std::fopen(path.c_str(), "we"));
  if (stream_ == nullptr) fail();
}

void OutputFile::write(std::string_view text) {
  if (file_) return file_->write(text);
  const bool all = std::fwrite(text.data(), 1, text.size(), stream_.get()) == text.size();
  if (!all || std::fflush(stream_.get()) != 0) fail();
}

void OutputFile::publish() {
  if (file_) file_->finish();
}

void OutputFile::fail() const { throw_write_error(name_, errno); }

}  // namespace moesaic
