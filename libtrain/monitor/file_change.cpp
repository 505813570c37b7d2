#include "monitor/file_change.h"

#include <utility>

namespace moesaic {
namespace {

std::optional<struct stat> look_at(const std::string& path) {
  struct stat now {};
  if (::stat(path.c_str(), &now) != 0 || !S_ISREG(now.st_mode)) return std::nullopt;
  return now;
}

}  // namespace

FileChange::FileChange(std::string path) : path_(std::move(path)), before_(look_at(path_)) {}

bool FileChange::has_changed() const {
  const std::optional<struct stat> now = look_at(path_);
  if (!now || !before_) return now.has_value();
  return now->st_dev != before_->st_dev || now->st_ino != before_->st_ino ||
         now->st_size != before_->st_size || now->st_mtim.tv_sec != before_->st_mtim.tv_sec ||
         now->st_mtim.tv_nsec != before_->st_mtim.tv_nsec;
}

}  // namespace moesaic
