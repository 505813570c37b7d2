// moesaic recipes ls|show|cp: the shipped recipes.
#include <cstdio>
#include <filesystem>
#include <memory>

#include "core/error.h"
#include "core/fs.h"
#include "core/json_text.h"
#include "shipped_recipes.h"
#include "verbs.h"

namespace moesaic::cli {
namespace {

struct RecipesArguments {
  std::string name;
  std::string target;
  bool force = false;
  bool json = false;
};

std::string find(const std::string& name) {
  std::string path = shipped_recipe(name);
  if (!path.empty()) return path;
  const std::vector<std::string> names = shipped_recipes();
  const std::string near = name.size() <= 100 ? nearest(name, names) : "";
  throw Error(ErrorKind::kUsage,
              format("no shipped recipe '{}'{}", name,
                     near.empty() ? "" : format(" (did you mean '{}'?)", near)),
              "`moesaic recipes ls` lists them");
}

// The first line of the comment that every recipe begins with.
std::string title(const std::string& name) {
  const std::string text = read_file(shipped_recipe(name), ErrorKind::kRecipe);
  const std::string line = text.substr(0, text.find('\n'));
  return line.compare(0, 2, "# ") == 0 ? line.substr(2) : "";
}

void list_recipes(const RecipesArguments& arguments) {
  Json all = Json::array();
  for (const std::string& name : shipped_recipes()) {
    if (arguments.json)
      all.push_back({{"name", name}, {"path", shipped_recipe(name)}, {"title", title(name)}});
    else
      std::puts(format("{:<24} {}", name, title(name)).c_str());
  }
  if (arguments.json) std::puts(json_text(all, 2).c_str());
}

void show_recipe(const RecipesArguments& arguments) {
  const std::string text = read_file(find(arguments.name), ErrorKind::kRecipe);
  std::fwrite(text.data(), 1, text.size(), stdout);
}

void copy_recipe(const RecipesArguments& arguments) {
  namespace fs = std::filesystem;
  const std::string from = find(arguments.name);
  fs::path to = arguments.target.empty() ? "." : arguments.target;
  std::error_code error;
  if (fs::is_directory(to, error)) to /= fs::path(from).filename();
  MOESAIC_CHECK(arguments.force || !fs::exists(to, error), ErrorKind::kUsage,
                "{} is there already; give another name, or --force to replace it", to.string());
  write_file_atomic(to.string(), read_file(from, ErrorKind::kRecipe), ErrorKind::kUsage);
  std::puts(to.c_str());
}

}  // namespace

void add_recipes(CLI::App& app, int& exit_code) {
  const auto arguments = std::make_shared<RecipesArguments>();
  CLI::App* verb = app.add_subcommand("recipes", "List, show or copy the shipped recipes");
  verb->require_subcommand(1);
  CLI::App* ls = verb->add_subcommand("ls", "List them");
  ls->add_flag("--json", arguments->json, "Machine output");
  ls->callback([arguments, &exit_code] { list_recipes(*arguments), exit_code = 0; });
  CLI::App* print = verb->add_subcommand("show", "Print one");
  print->add_option("NAME", arguments->name, "As `recipes ls` prints it")->required();
  print->callback([arguments, &exit_code] { show_recipe(*arguments), exit_code = 0; });
  CLI::App* cp = verb->add_subcommand("cp", "Copy one, to be changed");
  cp->add_option("NAME", arguments->name, "As `recipes ls` prints it")->required();
  cp->add_option("TO", arguments->target, "File or folder (default: the working directory)");
  cp->add_flag("--force", arguments->force, "Replace a file that is there");
  cp->callback([arguments, &exit_code] { copy_recipe(*arguments), exit_code = 0; });
}

}  // namespace moesaic::cli
