#include "store/checkpoint_folder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "core/error.h"
#include "core/fs.h"
#include "store/manifest.h"
#include "store/new_folder.h"

namespace moesaic {
namespace {

namespace fs = std::filesystem;

constexpr const char* kTemporary = ".tmp";
constexpr const char* kMakeRoom =
    "free some space, lower checkpoint.keep, or choose another run_dir";

std::uint64_t mebibytes(std::uint64_t bytes) { return (bytes >> 20U) + 1; }

std::optional<std::int64_t> sequence_of(const std::string& path) {
  try {
    const Json manifest = unseal_manifest(read_manifest(path), path);
    // A file that is missing or cut off shows without reading it.
    for (const auto& [name, entry] : manifest.at("files").items()) {
      if (fs::file_size(path + "/" + name) != entry.at("size").get<std::uint64_t>())
        return std::nullopt;
    }
    return manifest.value("sequence", std::int64_t{0});
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

bool newer(const FoundCheckpoint& a, const FoundCheckpoint& b) {
  if (a.sequence && b.sequence && *a.sequence != *b.sequence) return *a.sequence > *b.sequence;
  return a.step > b.step;
}

void remove_leftovers(const std::string& folder) {
  for (const auto& item : fs::directory_iterator(folder)) {
    const std::string name = item.path().filename().string();
    if (!name.starts_with("step-") || !name.ends_with(kTemporary)) continue;
    const std::string replaced =
        name.substr(0, name.size() - std::min(name.size(), std::strlen(kReplacedSuffix)));
    if (name.ends_with(kReplacedSuffix) && !fs::exists(folder + "/" + replaced)) {
      fs::rename(item.path(), folder + "/" + replaced);  // a crash came before its successor
    } else {
      fs::remove_all(item.path());
    }
  }
}

}  // namespace

std::string step_folder_name(std::int64_t step) { return format("step-{:08d}", step); }

std::optional<std::int64_t> step_of_folder(const std::string& name) {
  if (!name.starts_with("step-")) return std::nullopt;
  const std::string digits = name.substr(5);
  const bool number = digits.size() >= 8 && digits.size() <= 18 &&
                      digits.find_first_not_of("0123456789") == std::string::npos;
  if (!number) return std::nullopt;
  return std::stoll(digits);
}

std::vector<FoundCheckpoint> list_checkpoints(const std::string& folder) {
  std::vector<FoundCheckpoint> found;
  if (!fs::is_directory(folder)) return found;
  for (const auto& item : fs::directory_iterator(folder)) {
    const auto step = step_of_folder(item.path().filename().string());
    if (!step || !item.is_directory()) continue;
    found.push_back({item.path().string(), *step, sequence_of(item.path().string())});
  }
  // Whole ones by their sequence, then each damaged one before the first whole one of a smaller
  // step.
  const auto damaged = std::stable_partition(
      found.begin(), found.end(), [](const auto& one) { return one.sequence.has_value(); });
  std::vector<FoundCheckpoint> rest(damaged, found.end());
  found.erase(damaged, found.end());
  std::sort(found.begin(), found.end(), newer);
  std::sort(rest.begin(), rest.end(), newer);
  for (const FoundCheckpoint& one : rest) {
    found.insert(std::find_if(found.begin(), found.end(),
                              [&](const auto& other) { return other.step < one.step; }),
                 one);
  }
  return found;
}

std::string begin_checkpoint(const std::string& folder, std::int64_t step, std::uint64_t bytes) {
  make_folder(folder);
  remove_leftovers(folder);
  check_room(folder, bytes, kMakeRoom);
  std::string temporary = folder + "/" + step_folder_name(step) + kTemporary;
  make_folder(temporary);
  return temporary;
}

void reserve_space(const std::string& path, std::uint64_t bytes) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  const int code = fd < 0 ? errno
                   : ::fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(bytes)) == 0
                       ? 0
                       : errno;
  if (fd >= 0) ::close(fd);
  if (code == 0 || code == EOPNOTSUPP || code == ENOSYS) return;
  throw Error(
      ErrorKind::kCheckpoint,
      format("cannot reserve {} MiB for {}: {}", mebibytes(bytes), path, std::strerror(code)),
      code == ENOSPC || code == EDQUOT ? kMakeRoom : "");
}

void release_space(const std::string& path) {
  struct stat status {};
  const bool done =
      ::stat(path.c_str(), &status) == 0 && ::truncate(path.c_str(), status.st_size) == 0;
  MOESAIC_CHECK(done, ErrorKind::kCheckpoint, "cannot truncate {}: {}", path, std::strerror(errno));
}

void publish_checkpoint(const std::string& temporary, const std::string& folder,
                        std::int64_t step) {
  const std::string name = step_folder_name(step);
  publish_folder(temporary, folder + "/" + name);
  point_link(folder + "/latest", name);
}

void prune_checkpoints(const std::string& folder, std::int64_t keep, const Log& log) {
  std::int64_t whole = 0;
  for (const FoundCheckpoint& found : list_checkpoints(folder)) {
    const bool kept = whole < std::max<std::int64_t>(keep, 1);
    if (found.sequence) ++whole;
    if (kept) continue;
    // Renamed first: a removal that is cut short must not look like a checkpoint.
    const std::string doomed = found.path + kTemporary;
    std::error_code code;
    fs::rename(found.path, doomed, code);
    if (!code) fs::remove_all(doomed, code);
    if (code) log.warn("cannot remove the old checkpoint {}: {}", found.path, code.message());
  }
}

}  // namespace moesaic
