#include "session_folder.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <system_error>

namespace moesaic::cli {
namespace {

// mpirun hands the first name on to its ranks, which refuse it beside one of the others.
constexpr const char* kForAll = "OMPI_MCA_orte_tmpdir_base";
constexpr const char* kOfMpirun = "OMPI_MCA_orte_local_tmpdir_base";
constexpr const char* kOfDaemons = "OMPI_MCA_orte_remote_tmpdir_base";

bool is_set(const char* name) { return std::getenv(name) != nullptr; }

}  // namespace

SessionFolder::SessionFolder() {
  constexpr std::array kNames = {kForAll, kOfMpirun, kOfDaemons};
  if (std::any_of(kNames.begin(), kNames.end(), is_set)) return;
  std::error_code none;
  const std::filesystem::path folder = std::filesystem::temp_directory_path(none);
  if (none) return;
  path_ = (folder / "moesaic-job-XXXXXX").string();
  if (::mkdtemp(path_.data()) == nullptr) path_.clear();
}

SessionFolder::~SessionFolder() {
  std::error_code left;
  if (!path_.empty()) std::filesystem::remove_all(path_, left);
}

void SessionFolder::give_to(Command& command) const {
  if (!path_.empty()) command.environment.emplace_back(kForAll, path_);
}

}  // namespace moesaic::cli
