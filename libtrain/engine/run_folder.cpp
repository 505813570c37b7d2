#include "engine/run_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "core/fs.h"

namespace moesaic {
namespace {

namespace fs = std::filesystem;

int lock_folder(const std::string& path) {
  const std::string file = path + "/.lock";
  const int fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) {
    throw Error(ErrorKind::kCheckpoint,
                format("cannot write in the run folder {}: {}", path, std::strerror(errno)),
                "choose another run_dir, or check its permissions");
  }
  if (::flock(fd, LOCK_EX | LOCK_NB) == 0) return fd;
  const int code = errno;
  ::close(fd);
  if (code != EWOULDBLOCK) return -1;  // a file system without locks: go on without
  throw Error(ErrorKind::kUsage, format("another job is working in the run folder {}", path),
              "wait for it, stop it, or give this run another run_dir");
}

void remove_files(const std::string& folder, const char* begin, const char* end) {
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(begin) && name.ends_with(end)) fs::remove(entry.path());
  }
}

void remove_run(const std::string& path) {
  for (const char* name : {"recipe.yaml", "metrics.jsonl", "metrics.prom", "report.html", "logs",
                           "tensorboard", "checkpoints"}) {
    std::error_code code;
    fs::remove_all(fs::path(path) / name, code);
    MOESAIC_CHECK(!code, ErrorKind::kCheckpoint, "cannot remove {}/{}: {}", path, name,
                  code.message());
  }
  remove_files(path, "trace-", ".json");
}

void remove_old_errors(const std::string& path) {
  remove_files(logs_folder(path), "error.rank-", "");
}

}  // namespace

RunFolder::RunFolder(const std::string& path, Mode mode) {
  make_folder(path);
  lock_ = lock_folder(path);
  const bool used = fs::exists(fs::path(path) / "recipe.yaml");
  if (used && mode == Mode::kFresh) {
    ::close(lock_);
    throw Error(ErrorKind::kUsage, format("the run folder {} already holds a run", path),
                "go on with it by --resume auto, start again by --overwrite, or give this run "
                "another run_dir");
  }
  if (mode == Mode::kOverwrite) remove_run(path);
  make_folder(logs_folder(path));
  remove_old_errors(path);
}

RunFolder::RunFolder(RunFolder&& other) noexcept : lock_(std::exchange(other.lock_, -1)) {}

RunFolder::~RunFolder() {
  if (lock_ >= 0) ::close(lock_);
}

std::string logs_folder(const std::string& run_dir) { return run_dir + "/logs"; }
std::string log_file(const std::string& run_dir, int rank) {
  return format("{}/rank-{}.log", logs_folder(run_dir), rank);
}
std::string error_file(const std::string& run_dir, int rank) {
  return format("{}/error.rank-{}.json", logs_folder(run_dir), rank);
}

}  // namespace moesaic
