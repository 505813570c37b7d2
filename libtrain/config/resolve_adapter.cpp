#include <algorithm>
#include <array>
#include <filesystem>

#include "config/check.h"
#include "config/model_config.h"
#include "config/peft_options.h"
#include "config/struct_value.h"
#include "core/path.h"

namespace moesaic {
namespace {

// What an adapter is; the other keys say how it is trained, and may be others in a run that goes on
// from it.
constexpr std::array kKeysOfAdapter = {
    "r",          "lora_alpha",       "lora_dropout",  "target_modules", "exclude_modules",
    "use_rslora", "rank_pattern",     "alpha_pattern", "use_dora",       "modules_to_save",
    "router",     "init_lora_weights"};

// Lists of names in any order.
void sort_names(LoraOptions& lora) {
  for (ModuleNames* names : {&lora.target_modules, &lora.exclude_modules})
    if (auto* list = std::get_if<std::vector<std::string>>(names))
      std::sort(list->begin(), list->end());
  std::sort(lora.modules_to_save.begin(), lora.modules_to_save.end());
}

// The options of the run whose checkpoint has this config.json.
LoraOptions lora_of_run(const std::string& config, const std::string& path) {
  constexpr std::size_t kMostBytes = 64U << 20;
  const std::string file = (std::filesystem::path(config).parent_path() / "manifest.json").string();
  const Json manifest = is_file(file, ErrorKind::kRecipe)
                            ? read_json(file, ErrorKind::kRecipe, {.bytes = kMostBytes})
                            : Json::object();
  const Json training = manifest.is_object() ? manifest.value("training", Json()) : Json();
  const bool known =
      training.is_object() && training.contains("recipe") && training.at("recipe").is_string();
  const Recipe recipe =
      known ? recipe_from_yaml(training.at("recipe").get<std::string>(), path) : Recipe();
  MOESAIC_CHECK(recipe.adapt && recipe.adapt->lora, ErrorKind::kRecipe,
                "{} is a model without adapters; a PEFT folder or a run with adapters can be gone "
                "on from",
                path);
  return *recipe.adapt->lora;
}

LoraOptions lora_at(const std::string& path, const Recipe& recipe, ProblemList& problems) {
  if (is_file(path + "/adapter_config.json", ErrorKind::kRecipe))
    return lora_of_peft(path, architecture_of(recipe), problems);
  const std::optional<std::string> config = find_model_config(path);
  MOESAIC_CHECK(config, ErrorKind::kRecipe,
                "there is no adapter at {}: neither a PEFT folder (adapter_config.json) nor a run "
                "with adapters",
                path);
  return lora_of_run(*config, path);
}

// Keys that were given must be those of the adapter where they say what it is.
void require_agreement(const LoraOptions& given, const LoraOptions& there, const std::string& path,
                       const Places& places, ProblemList& problems) {
  for (const char* name : kKeysOfAdapter) {
    const std::string key = std::string("adapt.lora.") + name;
    if (!places.contains(key) || problems.has_error(key)) continue;
    const auto& entry = *schema_of(&given).find(name);
    const auto mine = entry.write(given), its = entry.write(there);
    if (mine == its) continue;
    problems.error(place_of(places, key), key,
                   format("is {}, and that of the adapter in {} is {}; leave it out",
                          mine.value_or("absent"), path, its.value_or("absent")));
  }
}

}  // namespace

void resolve_adapter(Recipe& recipe, const Places& places, ProblemList& problems) {
  if (!recipe.adapt || !recipe.adapt->from || !recipe.model.from) return;
  if (problems.has_error("model.from") || problems.has_error("model.config")) return;
  const std::string path = *recipe.adapt->from;
  try {
    LoraOptions there = lora_at(path, recipe, problems);
    LoraOptions given = recipe.adapt->lora.value_or(LoraOptions());
    sort_names(there);
    sort_names(given);
    require_agreement(given, there, path, places, problems);
    // The keys that say how it is trained.
    if (places.contains("adapt.lora.train_a")) there.train_a = given.train_a;
    if (places.contains("adapt.lora.lora_plus_ratio"))
      there.lora_plus_ratio = given.lora_plus_ratio;
    if (places.contains("adapt.lora.base")) there.base = given.base;
    recipe.adapt->lora = there;
  } catch (const Error& error) {
    problems.error(place_of(places, "adapt.from"), "adapt.from", error.what());
  }
}

}  // namespace moesaic
