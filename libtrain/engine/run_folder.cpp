#include "engine/run_folder.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "core/fs.h"
#include "core/path.h"

namespace moesaic {
namespace {

constexpr ErrorKind kKind = ErrorKind::kCheckpoint;
constexpr const char* kOwnFolder = "give this run a run_dir of its own";

FileLock lock_folder(const std::string& path) {
  FileLock lock(path + "/.lock", FileLock::Wait::kNo);
  if (lock.is_taken()) {
    throw Error(ErrorKind::kUsage, format("another job is working in the run folder {}", path),
                "wait for it, stop it, or give this run another run_dir");
  }
  if (!lock.is_open()) {
    throw Error(kKind,
                format("cannot write in the run folder {}: {}", path, std::strerror(lock.error())),
                "choose another run_dir, or check its permissions");
  }
  return lock;  // perhaps not held, on a file system without locks: go on without
}

// A folder may be one for other things too, such as that of the recipe.
void refuse_files_of_others(const std::string& path) {
  if (holds_run(path)) return;
  for (const char* name : {"recipe.yaml", "metrics.jsonl", "routing.png"}) {
    if (!is_file(path + "/" + name, kKind)) continue;  // nothing is lost of a pipe
    throw Error(ErrorKind::kUsage,
                format("{}/{} is there, and no run wrote it: a run in this folder would replace it",
                       path, name),
                kOwnFolder);
  }
}

void refuse_inputs(const std::vector<std::string>& doomed, const std::vector<std::string>& inputs,
                   const std::string& path) {
  std::vector<std::string> places;
  for (const std::string& file : doomed) places.push_back(canonical_path(file, kKind));
  std::sort(places.begin(), places.end());
  for (const std::string& input : inputs) {
    if (!std::binary_search(places.begin(), places.end(), canonical_path(input, kKind))) continue;
    throw Error(ErrorKind::kUsage,
                format("cannot start anew in {}: {}, which this run reads, is of the run there and "
                       "would be removed",
                       path, input),
                kOwnFolder);
  }
}

void remove_file(const std::string& path) {
  const bool gone = ::unlink(path.c_str()) == 0 || errno == ENOENT;
  MOESAIC_CHECK(gone, kKind, "cannot remove {}: {}", path, std::strerror(errno));
}

// Folders of a run that are empty now; others stay.
void remove_empty_folders(const std::string& file, const std::string& run_dir) {
  std::filesystem::path folder = std::filesystem::path(file).parent_path();
  while (folder.string().size() > run_dir.size() && ::rmdir(folder.c_str()) == 0)
    folder = folder.parent_path();
}

void remove_run(const std::string& path, const std::vector<std::string>& inputs) {
  if (!holds_run(path)) return;
  const std::vector<std::string> files = files_of_run(path);
  refuse_inputs(files, inputs, path);
  for (const std::string& file : files) {
    remove_file(file);
    remove_empty_folders(file, path);
  }
  // Last: a removal that is cut short can be repeated. An input is replaced, and at no time gone.
  const std::string recipe = recipe_file(path);
  const bool is_input = std::any_of(inputs.begin(), inputs.end(), [&](const std::string& input) {
    return canonical_path(input, kKind) == canonical_path(recipe, kKind);
  });
  if (!is_input) remove_file(recipe);
}

void remove_old_errors(const std::string& path) {
  for (const std::string& file : files_of_run(path)) {
    if (file.starts_with(logs_folder(path) + "/error.rank-")) remove_file(file);
  }
}

}  // namespace

RunFolder::RunFolder(const std::string& path, Mode mode, const std::vector<std::string>& inputs) {
  make_folder(path);
  refuse_files_of_others(path);
  lock_ = lock_folder(path);
  if (mode == Mode::kFresh && path_exists(recipe_file(path), kKind)) {
    throw Error(ErrorKind::kUsage, format("the run folder {} already holds a run", path),
                "go on with it by --resume auto, start again by --overwrite, or give this run "
                "another run_dir");
  }
  if (mode == Mode::kOverwrite) remove_run(path, inputs);
  make_folder(logs_folder(path));
  remove_old_errors(path);
}

}  // namespace moesaic
