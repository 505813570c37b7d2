// A folder that the ranks of a test share.
#pragma once

#include <algorithm>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "comm/communicator.h"
#include "support/sample_checkpoint.h"

namespace moesaic::test {

/// One folder for all ranks; the chief makes and removes it.
class SharedFolder {
 public:
  explicit SharedFolder(const Communicator& world) : world_(world) {
    if (world.is_chief()) own_.emplace();
    path_ = world.broadcast(own_ ? own_->path() : "", 0, "folder of the test");
  }
  // The chief removes the folder once no rank reads it any more.
  ~SharedFolder() { world_.barrier("the folder is no longer needed"); }
  SharedFolder(const SharedFolder&) = delete;
  SharedFolder& operator=(const SharedFolder&) = delete;
  const std::string& path() const { return path_; }
  std::vector<std::string> names() const {
    world_.barrier("before listing");
    std::vector<std::string> found;
    for (const auto& item : std::filesystem::directory_iterator(path_))
      found.push_back(item.path().filename().string());
    std::sort(found.begin(), found.end());
    world_.barrier("after listing");
    return found;
  }

 private:
  Communicator world_;
  std::optional<SampleFolder> own_;
  std::string path_;
};

}  // namespace moesaic::test
