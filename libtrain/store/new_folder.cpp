#include "store/new_folder.h"

#include <fcntl.h>
#include <stdio.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "core/error.h"
#include "core/fs.h"
#include "core/path.h"
#include "store/own_folder.h"

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

/// Whether a folder is there that is to be replaced. Error for anything that must stay.
bool is_to_be_replaced(const std::string& path, bool overwrite) {
  constexpr ErrorKind kKind = ErrorKind::kCheckpoint;
  if (!entry_exists(path, kKind)) return false;
  MOESAIC_CHECK(is_folder(path, kKind) && link_target(path).empty(), kKind,
                "cannot make the folder {}: something else has that name", path);
  if (lies_in(canonical_path(".", kKind), canonical_path(path, kKind))) {
    throw Error(
        ErrorKind::kUsage,
        format("cannot make the folder {}: the working folder is this one, or lies in it", path),
        "name a folder that is not there yet");
  }
  if (names_in(path, kKind).empty()) return false;
  if (!overwrite) {
    throw Error(kKind, format("{} is there already and is not empty", path),
                "choose another place; --overwrite replaces what an export or import wrote");
  }
  require_own_folder(path);
  return true;
}

/// The lock of the temporary folder, which is made.
FileLock lock_temporary(const std::string& temporary, const std::string& path) {
  for (;;) {
    make_folder(temporary);
    FileLock lock(temporary, FileLock::Wait::kNo);
    if (lock.is_taken()) {
      throw Error(ErrorKind::kUsage, format("another job is writing {}", path),
                  "wait for it, or choose another place");
    }
    if (lock.is_at(temporary)) return lock;
    // Another job has just finished, and moved or removed what was opened.
    MOESAIC_CHECK(lock.is_open() || lock.error() == ENOENT, ErrorKind::kCheckpoint,
                  "cannot open {}: {}", temporary, std::strerror(lock.error()));
  }
}

}  // namespace

void publish_folder(const std::string& temporary, const std::string& path) {
  sync_path(temporary);
  const std::string parent = fs::path(path).parent_path().string();
  if (!path_exists(path, ErrorKind::kCheckpoint)) return publish(temporary, path);
  if (exchange(temporary, path)) {
    sync_path(parent.empty() ? "." : parent);
    remove_tree(temporary);
    return;
  }
  // Two steps: a crash between them leaves both the old and the new one, under other names.
  publish(path, path + kReplacedSuffix);
  publish(temporary, path);
  remove_tree(path + kReplacedSuffix);
}

void check_apart(const std::string& from, const std::string& to) {
  const std::string a = canonical_path(from, ErrorKind::kCheckpoint);
  const std::string b = canonical_path(to, ErrorKind::kUsage);
  const std::string checkpoints = a + "/checkpoints";
  const bool beside_them = is_folder(checkpoints) && !lies_in(b, checkpoints);
  MOESAIC_CHECK(!lies_in(a, b) && (!lies_in(b, a) || beside_them), ErrorKind::kUsage,
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
    : path_(without_trailing_slash(path)),
      temporary_(path_ + ".moesaic.tmp"),
      lock_(lock_temporary(temporary_, path_)) {
  try {
    replaces_ = is_to_be_replaced(path_, options.overwrite);
    for (const std::string& name : names_in(temporary_, ErrorKind::kCheckpoint))
      remove_tree(temporary_ + "/" + name);  // of a process that was killed
  } catch (...) {
    std::error_code ignored;
    fs::remove_all(temporary_, ignored);
    throw;
  }
}

NewFolder::~NewFolder() {
  std::error_code ignored;
  if (!published_) fs::remove_all(temporary_, ignored);
}

void NewFolder::publish() {
  if (replaces_) {
    // While it has the temporary name, nobody may take the old one for a leftover.
    const FileLock old(path_, FileLock::Wait::kNo);
    publish_folder(temporary_, path_);
  } else {
    sync_path(temporary_);
    moesaic::publish(temporary_, path_);  // fails where a folder with files has appeared meanwhile
  }
  published_ = true;
}

}  // namespace moesaic
