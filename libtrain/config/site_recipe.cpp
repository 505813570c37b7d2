#include "config/site_recipe.h"

#include "config/merge.h"
#include "config/parallel_keys.h"
#include "config/silos.h"
#include "core/fs.h"
#include "core/plain_name.h"

namespace moesaic {
namespace {

using namespace rules;

std::vector<KeyOf<SiteRecipe>> site_keys() {
  std::vector<KeyOf<SiteRecipe>> keys;
  add_key(keys, FIELD(name), required(), "Name of the silo, that of its certificate.");
  add_key(keys, FIELD(data.train), required(), "Its training data.");
  add_key(keys, FIELD(data.valid), {}, "Its validation data.");
  add_parallel_keys(keys);
  add_key(keys, FIELD(privacy.ledger), path("<run_dir>/ledger.json"), "What was spent.");
  add_block(keys, FIELD(privacy.budget), "Of the ledger.");
  return keys;
}

const Schema<SiteRecipe>& site_schema() {
  static const Schema<SiteRecipe> schema{
      "recipe of a silo", "{name: a, data: {train: [...]}}", site_keys(),
      [](const std::string&, const std::string&) {
        return std::string(
            "is no key of a silo's own recipe, which has name, data.train, data.valid, parallel, "
            "privacy.ledger and privacy.budget: all else comes from the coordinator");
      }};
  return schema;
}

std::string all_errors(const ProblemList& problems) {
  std::vector<std::string> lines;
  for (const Problem& problem : problems.sorted())
    if (!problem.warning) lines.push_back(problem.text());
  return format("{}", join(lines, "\n"));
}

}  // namespace

SiteRecipe require_site_recipe(const std::string& path, const std::vector<std::string>& overrides,
                               std::optional<std::int64_t> ranks) {
  ProblemList problems;
  YamlNode root =
      parse_yaml(read_file(path, ErrorKind::kRecipe, YamlLimits{}.bytes + 1), path, problems);
  if (!root.is_mapping() && !problems.has_errors())
    problems.error(root.place, "", format("expected the keys of a silo, got {}", root.shown()));
  std::vector<std::string> all = overrides;
  if (ranks) all.push_back(format("parallel.ranks={}", *ranks));
  for (const std::string& text : all) {
    YamlNode over = parse_override(text, problems);
    if (over.is_mapping()) root = merge(std::move(root), std::move(over));
  }
  SiteRecipe site;
  if (root.is_mapping()) read_section(site_schema(), root, "", "", site, problems);
  for (const char* key : {"name", "data.train"}) {
    if (root.is_mapping() && root.at(key) == nullptr && !problems.has_error(key))
      problems.error(root.place, key, "is missing");
  }
  if (!site.name.empty() && !is_plain_name(site.name))
    problems.error(root.place, "name", format("{} is no name: {}", shown(site.name), kPlainName));
  if (site.parallel.ranks % site.parallel.expert != 0)
    problems.error(
        root.place, "parallel.expert",
        format("is {}, which does not divide {} ranks", site.parallel.expert, site.parallel.ranks));
  if (problems.has_errors()) throw Error(ErrorKind::kRecipe, all_errors(problems));
  return site;
}

std::string to_yaml(const SiteRecipe& site) {
  std::vector<WrittenKey> keys;
  for (const KeyOf<SiteRecipe>& key : site_schema().keys)
    if (const auto value = key.write(site)) keys.push_back({key.path, *value, key.opens_block});
  return yaml_lines(keys);
}

Recipe offered_recipe(const Recipe& recipe) {
  Recipe offered = recipe;
  offered.run_dir = "runs/offered";
  offered.data.cache.reset();
  offered.parallel = {};
  offered.log = {};
  for (SiloOptions& silo : offered.federated->silos) silo = {.name = silo.name};
  if (offered.privacy) offered.privacy->ledger.clear();
  if (auto& of_silos = offered.federated->privacy) {  // the coordinator's alone
    of_silos->ledger.clear();
    of_silos->budget.reset();
  }
  return offered;
}

Recipe recipe_of_site(const Recipe& offered, const SiteRecipe& site, const std::string& run_dir) {
  if (!offered.privacy && site.privacy.budget) {
    throw Error(ErrorKind::kRecipe,
                "this silo has a privacy.budget, and the coordinator asks for training without "
                "record-level privacy: nothing would be charged",
                "talk to whoever runs the coordinator, or take privacy.budget out");
  }
  Recipe recipe = offered;
  recipe.run_dir = run_dir;
  recipe.data.train.clear();  // what is read and written here no coordinator says
  recipe.data.valid.clear();
  recipe.data.cache.reset();
  recipe.log = {};
  recipe.parallel = site.parallel;
  if (auto& of_silos = recipe.federated->privacy)
    of_silos->silos = static_cast<std::int64_t>(silos_in_round(*offered.federated));
  recipe.federated->silos = {{.name = site.name,
                              .ranks = site.parallel.ranks,
                              .train = site.data.train,
                              .valid = site.data.valid}};
  if (recipe.privacy) {
    const std::string& ledger = site.privacy.ledger;
    recipe.privacy->ledger = ledger.empty() ? run_dir + "/ledger.json" : ledger;
    if (site.privacy.budget) recipe.privacy->budget = site.privacy.budget;
  }
  return recipe;
}

}  // namespace moesaic
