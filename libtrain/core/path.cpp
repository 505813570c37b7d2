#include "core/path.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

namespace moesaic {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void cannot(ErrorKind kind, const char* what, const std::string& path, int code) {
  constexpr std::size_t kShown = 200;  // of a path that may be longer than the system takes
  const std::string shown = path.size() <= kShown ? path : path.substr(0, kShown) + "...";
  throw Error(kind, format("cannot {} {}: {}", what, shown, std::strerror(code)),
              code == EACCES || code == EPERM ? "check the permissions" : "");
}

bool means_nothing_there(int code) { return code == ENOENT || code == ENOTDIR; }

}  // namespace

PathKind what_is_at(const std::string& path, ErrorKind kind) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) {
    if (means_nothing_there(errno)) return PathKind::kNothing;
    cannot(kind, "look at", path, errno);
  }
  if (S_ISREG(status.st_mode)) return PathKind::kFile;
  return S_ISDIR(status.st_mode) ? PathKind::kFolder : PathKind::kOther;
}

bool path_exists(const std::string& path, ErrorKind kind) {
  return what_is_at(path, kind) != PathKind::kNothing;
}

bool is_file(const std::string& path, ErrorKind kind) {
  return what_is_at(path, kind) == PathKind::kFile;
}

bool is_folder(const std::string& path, ErrorKind kind) {
  return what_is_at(path, kind) == PathKind::kFolder;
}

bool entry_exists(const std::string& path, ErrorKind kind) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) == 0) return true;
  if (!means_nothing_there(errno)) cannot(kind, "look at", path, errno);
  return false;
}

std::string link_target(const std::string& path) {
  std::error_code code;
  const fs::path target = fs::read_symlink(path, code);
  return code ? "" : target.string();
}

std::string program_folder() {
  return fs::path(link_target("/proc/self/exe")).parent_path().string();
}

std::uint64_t file_size(const std::string& path, ErrorKind kind) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) cannot(kind, "look at", path, errno);
  return static_cast<std::uint64_t>(status.st_size);
}

std::vector<std::string> names_in(const std::string& folder, ErrorKind kind) {
  std::vector<std::string> names;
  std::error_code code;
  fs::directory_iterator item(folder, code);
  for (; !code && item != fs::directory_iterator(); item.increment(code))
    names.push_back(item->path().filename().string());
  if (code) cannot(kind, "list the folder", folder, code.value());
  std::sort(names.begin(), names.end());
  return names;
}

std::string file_name(const std::string& path) { return fs::path(path).filename().string(); }

std::string canonical_path(const std::string& path, ErrorKind kind) {
  std::error_code code;
  const fs::path absolute = fs::absolute(path, code);
  const fs::path canonical = code ? absolute : fs::weakly_canonical(absolute, code);
  if (code) cannot(kind, "follow", path, code.value());
  return canonical.has_filename() ? canonical.string() : canonical.parent_path().string();
}

bool lies_in(const std::string& path, const std::string& folder) {
  return (path + "/").starts_with(folder == "/" ? folder : folder + "/");
}

void refuse_same_file(const std::string& input, const std::string& output) {
  std::error_code code;  // when one is not there
  if (!fs::equivalent(input, output, code) || !fs::is_regular_file(output, code)) return;
  throw Error(ErrorKind::kUsage,
              format("--output is {}, which is the input: it would be replaced", output),
              "give another --output");
}

void remove_tree(const std::string& path, ErrorKind kind) {
  std::error_code code;
  fs::remove_all(path, code);
  if (code) cannot(kind, "remove", path, code.value());
}

}  // namespace moesaic
