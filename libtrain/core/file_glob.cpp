#include "core/file_glob.h"

#include <glob.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "core/error.h"

namespace moesaic {
namespace {

namespace fs = std::filesystem;

std::string working_directory() {
  std::error_code code;
  const auto path = fs::current_path(code);
  return code ? "unknown" : path.string();
}

// A folder that is not there gives no match; one that cannot be read must not look like that.
int stops(const char*, int code) { return code != ENOENT && code != ENOTDIR; }

struct Matches {
  glob_t found{};
  int result;

  explicit Matches(const std::string& pattern)
      : result(::glob(pattern.c_str(), GLOB_NOSORT, stops, &found)) {}
  ~Matches() { ::globfree(&found); }
  Matches(const Matches&) = delete;
  Matches& operator=(const Matches&) = delete;
};

std::vector<std::string> matches_of(const std::string& pattern) {
  const Matches matches(pattern);
  if (matches.result == GLOB_NOMATCH) return {};
  MOESAIC_CHECK(matches.result == 0, ErrorKind::kData,
                "cannot expand '{}': a folder on its way cannot be read", pattern);
  const auto& found = matches.found;
  std::vector<std::string> paths(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  std::sort(paths.begin(), paths.end());  // glob's own order follows the locale
  return paths;
}

}  // namespace

std::vector<std::string> expand_files(const std::string& pattern, const Log& log) {
  std::error_code code;
  const auto status = fs::status(pattern, code);
  if (fs::is_directory(status)) {
    throw Error(ErrorKind::kData, format("data source '{}' is a folder", pattern),
                format("name its files, for instance '{}/*'", pattern));
  }
  if (fs::exists(status)) return {pattern};
  std::vector<std::string> files;
  for (const auto& path : matches_of(pattern)) {
    if (fs::is_directory(path, code))
      log.warn("data: {} is a folder, it is left out", path);
    else
      files.push_back(path);
  }
  if (files.empty()) {
    throw Error(ErrorKind::kData,
                format("data source '{}' matches no file (working directory {})", pattern,
                       working_directory()),
                "check the path; relative paths start at the working directory");
  }
  return files;
}

}  // namespace moesaic
