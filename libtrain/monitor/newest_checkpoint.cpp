#include "monitor/newest_checkpoint.h"

#include <sys/stat.h>

#include <cstdlib>

#include "core/path.h"

namespace moesaic {

std::optional<NewestCheckpoint> newest_checkpoint(const std::string& run_dir) {
  const std::string checkpoints = run_dir + "/checkpoints";
  NewestCheckpoint newest{.name = link_target(checkpoints + "/latest")};
  const std::size_t dash = newest.name.rfind('-');
  struct stat folder {};
  const std::string path = checkpoints + "/" + newest.name;
  if (dash == std::string::npos || ::stat(path.c_str(), &folder) != 0) return std::nullopt;
  newest.step = std::atof(newest.name.c_str() + dash + 1);
  newest.time = static_cast<double>(folder.st_mtim.tv_sec);
  try {
    for (const std::string& name : names_in(path)) {
      const std::string file = path + "/" + name;
      if (is_file(file)) newest.bytes += static_cast<double>(file_size(file));
    }
  } catch (const Error&) {  // it is pruned at this moment
    return std::nullopt;
  }
  return newest;
}

}  // namespace moesaic
