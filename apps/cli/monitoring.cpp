#include "monitoring.h"

#include <cstdio>

#include "config/recipe_reader.h"
#include "core/format.h"
#include "core/host_name.h"
#include "core/version.h"
#include "recipe_facts.h"

namespace moesaic::cli {
namespace {

// Of what the rows call epsilon.
std::optional<double> epsilon_budget(const Recipe& recipe) {
  if (recipe.federated && recipe.federated->privacy) {
    const auto& budget = recipe.federated->privacy->budget;
    return budget ? std::optional(budget->epsilon) : std::nullopt;
  }
  if (!recipe.privacy) return std::nullopt;
  if (recipe.privacy->budget) return recipe.privacy->budget->epsilon;
  return recipe.privacy->target_epsilon;
}

std::vector<RunFacts::Number> numbers_of(const Recipe& recipe) {
  std::vector<RunFacts::Number> numbers;
  const auto add = [&](const char* name, const char* help, double value) {
    numbers.push_back({name, help, value});
  };
  if (const auto last = last_step_of(to_yaml(recipe)))
    add("moesaic_max_steps", "Last step or round of the run.", static_cast<double>(*last));
  if (const auto budget = epsilon_budget(recipe))
    add("moesaic_epsilon_budget", "Most privacy that may be spent.", *budget);
  return numbers;
}

}  // namespace

std::unique_ptr<RunMonitor> monitor_of(const Recipe& recipe, bool resumed) {
  if (std::holds_alternative<Off>(recipe.log.prometheus)) return nullptr;
  const auto* server = std::get_if<PrometheusServer>(&recipe.log.prometheus);
  auto monitor = std::make_unique<RunMonitor>(
      RunFacts{.job = recipe.name,
               .run_dir = recipe.run_dir,
               .host = host_name(),
               .version = build_versions().front().second,
               .ranks = static_cast<int>(recipe.parallel.ranks),
               .resumed = resumed,
               .numbers = numbers_of(recipe)},
      server != nullptr ? std::optional(static_cast<int>(server->port)) : std::nullopt);
  std::fputs(format("metrics   {}\n", monitor->place()).c_str(), stderr);
  return monitor;
}

}  // namespace moesaic::cli
