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
#include "core/path.h"
#include "store/manifest.h"
#include "store/new_folder.h"

namespace moesaic {
namespace {

namespace fs = std::filesystem;

constexpr ErrorKind kKind = ErrorKind::kCheckpoint;
constexpr const char* kTemporary = ".tmp";
constexpr const char* kLatest = "latest";
constexpr const char* kBest = "best";
constexpr const char* kMakeRoom =
    "free some space, lower checkpoint.keep, or choose another run_dir";

std::uint64_t mebibytes(std::uint64_t bytes) { return (bytes >> 20U) + 1; }

std::optional<std::int64_t> sequence_of(const std::string& path) {
  try {
    const Json manifest = unseal_manifest(read_manifest(path), path);
    // A file that is missing or cut off shows without reading it.
    for (const auto& [name, entry] : manifest.at("files").items()) {
      if (file_size(path + "/" + name, kKind) != entry.at("size").get<std::uint64_t>())
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
  for (const std::string& name : names_in(folder, kKind)) {
    if (!name.starts_with("step-") || !name.ends_with(kTemporary)) continue;
    const std::string path = folder + "/" + name;
    const std::string replaced =
        path.substr(0, path.size() - std::min(name.size(), std::strlen(kReplacedSuffix)));
    if (name.ends_with(kReplacedSuffix) && !path_exists(replaced, kKind)) {
      publish(path, replaced);  // a crash came before its successor
    } else {
      remove_tree(path);
    }
  }
}

bool is_no_link(const std::string& path) {
  return entry_exists(path, kKind) && link_target(path).empty();
}

/// The step of what should be a link and is a checkpoint folder; nullopt for anything else.
std::optional<std::int64_t> step_of_copy(const std::string& link) {
  if (!is_no_link(link) || !is_folder(link, kKind)) return std::nullopt;
  try {
    return unseal_manifest(read_manifest(link), link).at("step").get<std::int64_t>();
  } catch (const Error&) {
    return std::nullopt;
  }
}

// A rename cannot put the link in the place of a folder.
void make_way_for_link(const std::string& link, const std::string& folder, const Log& log) {
  if (!is_no_link(link)) return;
  const auto step = step_of_copy(link);
  std::string other = step ? folder + "/" + step_folder_name(*step) : link + ".copy";
  for (int i = 1; entry_exists(other, kKind); ++i) other = format("{}.copy-{}", link, i);
  publish(link, other);
  log.warn("{} is no link, as in a run that was copied with its links followed; it is {} now", link,
           other);
}

bool is_temporary_of(const std::string& name, const std::string& suffix) {
  return name.ends_with(suffix) && step_of_folder(name.substr(0, name.size() - suffix.size()));
}

bool is_of_saves(const std::string& folder, const std::string& name) {
  if (name == kLatest || name == kBest) return link_target(folder + "/" + name).empty();
  return step_of_folder(name) || is_temporary_of(name, kTemporary) ||
         is_temporary_of(name, kReplacedSuffix);
}

void add_checkpoint_files(const std::string& path, std::vector<std::string>& files) {
  for (const char* name : {kManifestName, kModelFile, kStateFile, kConfigFile}) {
    for (const std::string& file : {path + "/" + name, path + "/" + name + kTemporary})
      if (is_file(file, kKind)) files.push_back(file);
  }
  const std::string hub = path + "/" + kHubPrefix;
  if (!is_folder(hub, kKind)) return;
  for (const std::string& name : names_in(hub, kKind)) {
    if (is_file(hub + name, kKind)) files.push_back(hub + name);
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
  if (!is_folder(folder, kKind)) return found;
  for (const std::string& name : names_in(folder, kKind)) {
    const std::string path = folder + "/" + name;
    const auto step = step_of_folder(name);
    if (step && is_folder(path, kKind)) found.push_back({path, *step, sequence_of(path)});
  }
  const std::string latest = folder + "/" + kLatest;
  const auto copied = step_of_copy(latest);
  const bool alone = copied && std::none_of(found.begin(), found.end(),
                                            [&](const auto& one) { return one.step == *copied; });
  if (alone) found.push_back({latest, *copied, sequence_of(latest)});
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

std::vector<std::string> files_of_checkpoints(const std::string& folder) {
  std::vector<std::string> files;
  if (!is_folder(folder, kKind)) return files;
  for (const std::string& name : names_in(folder, kKind)) {
    const std::string path = folder + "/" + name;
    const bool is_link = name == kLatest || name == std::string(kLatest) + kTemporary ||
                         name == kBest || name == std::string(kBest) + kTemporary;
    if (is_link && step_of_folder(link_target(path))) files.push_back(path);
    if (is_of_saves(folder, name) && is_folder(path, kKind)) add_checkpoint_files(path, files);
  }
  return files;
}

std::string begin_checkpoint(const std::string& folder, std::int64_t step, std::uint64_t bytes,
                             const Log& log) {
  make_folder(folder);
  remove_leftovers(folder);
  for (const char* link : {kLatest, kBest}) make_way_for_link(folder + "/" + link, folder, log);
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

void publish_checkpoint(const std::string& temporary, const std::string& folder, std::int64_t step,
                        std::optional<std::int64_t> best) {
  const std::string name = step_folder_name(step);
  publish_folder(temporary, folder + "/" + name);
  point_link(folder + "/" + kLatest, name);
  if (best && is_folder(folder + "/" + step_folder_name(*best), kKind))
    point_link(folder + "/" + kBest, step_folder_name(*best));
}

void prune_checkpoints(const std::string& folder, std::int64_t keep, const Log& log) {
  std::int64_t whole = 0;
  const std::string best = folder + "/" + link_target(folder + "/" + kBest);
  for (const FoundCheckpoint& found : list_checkpoints(folder)) {
    const bool kept = whole < std::max<std::int64_t>(keep, 1) || found.path == best;
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
