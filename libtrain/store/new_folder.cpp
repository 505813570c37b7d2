#include "store/new_folder.h"

#include <fcntl.h>
#include <stdio.h>

#include <filesystem>

#include "core/error.h"
#include "core/fs.h"
#include "store/manifest.h"

namespace moesaic {
namespace {

namespace fs = std::filesystem;

/// Exchanges two folders in one step, where the file system can.
bool exchange(const std::string& a, const std::string& b) {
  return ::renameat2(AT_FDCWD, a.c_str(), AT_FDCWD, b.c_str(), RENAME_EXCHANGE) == 0;
}

std::string without_trailing_slash(const std::string& path) {
  const fs::path normal = absolute_path(path);
  return normal.has_filename() ? normal.string() : normal.parent_path().string();
}

void check_place(const std::string& path, bool overwrite) {
  if (!fs::exists(fs::symlink_status(path))) return;
  MOESAIC_CHECK(fs::is_directory(path) && !fs::is_symlink(path), ErrorKind::kCheckpoint,
                "cannot make the folder {}: something else has that name", path);
  if (fs::is_empty(path)) return;
  if (!overwrite) {
    throw Error(ErrorKind::kCheckpoint, format("{} is there already and is not empty", path),
                "choose another place, or replace it with --overwrite");
  }
  MOESAIC_CHECK(fs::exists(path + "/" + kConfigFile), ErrorKind::kCheckpoint,
                "{} is not overwritten: it holds no model (no {})", path, kConfigFile);
}

}  // namespace

void publish_folder(const std::string& temporary, const std::string& path) {
  sync_path(temporary);
  const std::string parent = fs::path(path).parent_path().string();
  if (!fs::exists(path)) return publish(temporary, path);
  if (exchange(temporary, path)) {
    sync_path(parent.empty() ? "." : parent);
    fs::remove_all(temporary);
    return;
  }
  // Two steps: a crash between them leaves both the old and the new one, under other names.
  publish(path, path + kReplacedSuffix);
  publish(temporary, path);
  fs::remove_all(path + kReplacedSuffix);
}

void check_apart(const std::string& from, const std::string& to) {
  const std::string a = fs::weakly_canonical(from).string() + "/";
  const std::string b = fs::weakly_canonical(without_trailing_slash(to)).string() + "/";
  MOESAIC_CHECK(!a.starts_with(b) && !b.starts_with(a), ErrorKind::kUsage,
                "cannot read {} and write {}: one lies inside the other", from, to);
}

void check_room(const std::string& folder, std::uint64_t bytes, const std::string& hint) {
  const std::uint64_t available = free_bytes(folder);
  if (bytes <= available) return;
  throw Error(ErrorKind::kCheckpoint,
              format("no room: {} MiB are needed, {} MiB are free on the file system of {}",
                     (bytes >> 20U) + 1, available >> 20U, folder),
              hint);
}

NewFolder::NewFolder(const std::string& path, const Options& options)
    : path_(without_trailing_slash(path)), temporary_(path_ + ".moesaic.tmp") {
  check_place(path_, options.overwrite);
  std::error_code code;
  fs::remove_all(temporary_, code);  // of a process that was killed
  make_folder(temporary_);
}

NewFolder::~NewFolder() {
  std::error_code ignored;
  if (!published_) fs::remove_all(temporary_, ignored);
}

void NewFolder::publish() {
  publish_folder(temporary_, path_);
  published_ = true;
}

}  // namespace moesaic
