#include "config/recipe_reader.h"

#include <algorithm>
#include <filesystem>

#include "config/check.h"
#include "config/merge.h"
#include "config/schema.h"
#include "config/struct_value.h"
#include "core/error.h"
#include "core/fs.h"

namespace moesaic {
namespace {

// The reader's limit, and one byte so that the reader is the one to say it.
constexpr std::uint64_t kMostRecipeBytes = YamlLimits{}.bytes + 1;

std::optional<YamlNode> take(YamlNode& mapping, const std::string& key) {
  for (std::size_t i = 0; i < mapping.keys.size(); ++i) {
    if (mapping.keys[i].text != key) continue;
    YamlNode value = std::move(mapping.items[i]);
    mapping.keys.erase(mapping.keys.begin() + static_cast<std::ptrdiff_t>(i));
    mapping.items.erase(mapping.items.begin() + static_cast<std::ptrdiff_t>(i));
    return value;
  }
  return std::nullopt;
}

YamlNode read_document(const std::string& text, const std::string& name, ProblemList& problems) {
  const std::size_t before = problems.size();
  YamlNode root = parse_yaml(text, name, problems);
  if (root.is_mapping()) return root;
  if (problems.size() == before) {
    problems.error(root.place, "", format("expected the keys of a recipe, got {}", root.shown()));
  }
  return {};
}

// `extends: other.yaml`, relative to the file that says so, one level deep.
YamlNode read_base(const YamlNode& extends, const std::string& file, ProblemList& problems) {
  if (!extends.is_scalar() || extends.text.empty()) {
    problems.error(extends.place, "extends", format("expected a path, got {}", extends.shown()));
    return {};
  }
  const auto path = (std::filesystem::path(file).parent_path() / extends.text).lexically_normal();
  try {
    const std::string text = read_file(path.string(), ErrorKind::kRecipe, kMostRecipeBytes);
    YamlNode base = read_document(text, path.string(), problems);
    if (const auto again = take(base, "extends")) {
      problems.error(again->place, "extends",
                     "a recipe that is extended cannot extend another one");
    }
    return base;
  } catch (const Error& error) {
    problems.error(extends.place, "extends", error.what());
  }
  return {};
}

void note_places(const YamlNode& node, const std::string& path, Places& places) {
  if (places.size() > YamlLimits{}.nodes) return;
  const std::string prefix = path.empty() ? "" : path + ".";
  for (std::size_t i = 0; i < node.items.size(); ++i) {
    const YamlNode& item = node.items[i];
    if (item.is_null()) continue;  // back to the default
    const bool in_list = node.is_sequence();
    const std::string name = in_list ? format("{}[{}]", path, i) : prefix + node.keys[i].text;
    places[name] = in_list ? item.place : node.keys[i].place;
    note_places(item, name, places);
  }
}

void require_keys(const YamlNode& root, const Places& places, ProblemList& problems) {
  for (const Key& key : recipe_keys()) {
    if (!key.rule.required || places.count(key.path) > 0 || problems.has_error(key.path)) continue;
    const YamlNode* block = root.at(key.block);
    if (block == nullptr || !block->is_mapping()) continue;  // absent, with its keys
    problems.error(place_of(places, key.path), key.path, "is missing");
  }
}

struct Input {
  std::string text;
  std::string name;
  std::vector<std::string> overrides = {};
  std::optional<std::int64_t> ranks = {};
  bool look_at_weights = true;  // whether model.from must be there
};

LoadedRecipe load(const Input& input) {
  LoadedRecipe loaded;
  ProblemList problems;
  YamlNode root = read_document(input.text, input.name, problems);
  const bool readable = root.is_mapping();
  if (const auto extends = take(root, "extends")) {
    root = merge(read_base(*extends, input.name, problems), std::move(root));
  }
  const Place top = root.place;
  for (const std::string& override_text : input.overrides) {
    YamlNode over = parse_override(override_text, problems);
    if (over.is_mapping()) root = merge(std::move(root), std::move(over));
  }
  if (input.ranks)
    root =
        merge(std::move(root), parse_override(format("parallel.ranks={}", *input.ranks), problems));
  if (readable) {
    note_places(root, "", loaded.places);
    loaded.places[""] = top;
    read_section(schema_of(&loaded.recipe), root, "", "", loaded.recipe, problems);
    require_keys(root, loaded.places, problems);
    check_recipe(loaded.recipe, loaded.places, problems);
    if (input.look_at_weights) {
      resolve_model(loaded.recipe, loaded.places, problems);
      resolve_adapter(loaded.recipe, loaded.places, problems);
    }
    check_architecture(loaded.recipe, loaded.places, problems);
  }
  loaded.problems = problems.sorted();
  return loaded;
}

Recipe require(LoadedRecipe loaded, std::vector<Problem>* warnings) {
  std::vector<std::string> lines;
  for (const Problem& problem : loaded.problems) {
    if (!problem.warning) lines.push_back(problem.text());
    if (problem.warning && warnings != nullptr) warnings->push_back(problem);
  }
  if (!lines.empty()) throw Error(ErrorKind::kRecipe, format("{}", join(lines, "\n")));
  return std::move(loaded.recipe);
}

}  // namespace

bool LoadedRecipe::has_errors() const {
  return std::any_of(problems.begin(), problems.end(), [](const Problem& p) { return !p.warning; });
}

std::string LoadedRecipe::provenance(const std::string& key) const {
  const auto found = places.find(key);
  return found == places.end() ? "default" : found->second.text();
}

LoadedRecipe load_recipe(const std::string& path, const std::vector<std::string>& overrides,
                         std::optional<std::int64_t> ranks) {
  return load({read_file(path, ErrorKind::kRecipe, kMostRecipeBytes), path, overrides, ranks});
}

Recipe require_recipe(const std::string& path, const std::vector<std::string>& overrides,
                      std::optional<std::int64_t> ranks, std::vector<Problem>* warnings) {
  return require(load_recipe(path, overrides, ranks), warnings);
}

Recipe recipe_from_yaml(const std::string& text, const std::string& where,
                        std::optional<std::int64_t> ranks) {
  return require(load({.text = text, .name = where, .ranks = ranks, .look_at_weights = false}),
                 nullptr);
}

std::string to_yaml(const Recipe& recipe) { return yaml_lines(written_keys(recipe)); }

arch::Options architecture_of(const Recipe& recipe) {
  arch::Options options = arch::require_options(recipe.model.config, "model.config");
  if (recipe.train.mtp_coefficient == 0) options.num_nextn_predict_layers = 0;
  return options;
}

}  // namespace moesaic
