#include "core/path.h"
#include "shipped_recipes.h"
#include "verbs.h"

namespace moesaic::cli {
namespace {

std::string check_override(const std::string& text) {
  return text.find('=') == std::string::npos ? "expected KEY=VALUE, got '" + text + "'" : "";
}

// A file of that name goes before a shipped recipe.
std::string resolve(const std::string& path) {
  if (path_exists(path, ErrorKind::kRecipe)) return path;
  const std::string shipped = shipped_recipe(path);
  return shipped.empty() ? path : shipped;
}

}  // namespace

void add_recipe_arguments(CLI::App& verb, RecipeArguments& arguments) {
  verb.add_option("RECIPE", arguments.path,
                  "Recipe file, or a name that `moesaic recipes ls` prints")
      ->required()
      ->transform(CLI::Validator(
          [](std::string& path) { return path = resolve(path), std::string(); }, ""));
  verb.add_option("KEY=VALUE", arguments.overrides, "Settings that go before those of the recipe")
      ->check(CLI::Validator([](std::string& text) { return check_override(text); }, ""));
}

}  // namespace moesaic::cli
