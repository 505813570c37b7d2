#include "shipped_recipes.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <optional>

#include "core/error.h"

namespace fs = std::filesystem;

namespace moesaic::cli {
namespace {

std::optional<fs::path> find_folder() {
  if (const char* given = std::getenv("MOESAIC_RECIPES")) return fs::path(given);
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error).parent_path();
  // PREFIX/bin -> PREFIX/share/moesaic/recipes; build/<preset>/bin -> recipes
  for (const char* beside : {"../share/moesaic/recipes", "../../../recipes"}) {
    const fs::path folder = (program / beside).lexically_normal();
    if (fs::is_directory(folder, error)) return folder;
  }
  return std::nullopt;
}

bool is_inside(const fs::path& name) {
  return !name.is_absolute() &&
         std::none_of(name.begin(), name.end(), [](const fs::path& part) { return part == ".."; });
}

}  // namespace

std::string recipe_folder() {
  const std::optional<fs::path> folder = find_folder();
  std::error_code error;
  MOESAIC_CHECK(folder && fs::is_directory(*folder, error), ErrorKind::kUsage,
                "the folder of the shipped recipes is not there{}; set MOESAIC_RECIPES to it",
                folder ? ": " + folder->string() : "");
  return folder->string();
}

std::vector<std::string> shipped_recipes() {
  const fs::path folder = recipe_folder();
  std::vector<std::string> names;
  std::error_code error;
  const auto options = fs::directory_options::skip_permission_denied;
  for (const auto& entry : fs::recursive_directory_iterator(folder, options, error)) {
    if (entry.path().extension() != ".yaml") continue;
    names.push_back(entry.path().lexically_relative(folder).replace_extension().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string shipped_recipe(const std::string& name) {
  const std::optional<fs::path> folder = find_folder();
  if (!folder || name.empty() || !is_inside(name)) return "";
  for (const std::string& file : {name, name + ".yaml"}) {
    const fs::path path = *folder / file;
    std::error_code error;
    if (path.extension() == ".yaml" && fs::is_regular_file(path, error)) return path.string();
  }
  return "";
}

std::string shipped_devices() {
  const fs::path path = (fs::path(recipe_folder()) / "../data/devices.yaml").lexically_normal();
  std::error_code error;
  MOESAIC_CHECK(fs::is_regular_file(path, error), ErrorKind::kUsage,
                "the table of devices is not there: {}; --devices FILE names another",
                path.string());
  return path.string();
}

}  // namespace moesaic::cli
