#include "monitoring.h"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "config/recipe_reader.h"
#include "core/error.h"
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
  std::variant<int, std::string> where = recipe.run_dir + "/metrics.prom";
  if (const auto* server = std::get_if<PrometheusServer>(&recipe.log.prometheus))
    where = static_cast<int>(server->port);
  return start_monitor({.job = recipe.name,
                        .run_dir = recipe.run_dir,
                        .ranks = static_cast<int>(recipe.parallel.ranks),
                        .resumed = resumed,
                        .numbers = numbers_of(recipe)},
                       where);
}

std::variant<int, std::string> metrics_place(const std::string& option) {
  constexpr int kMostPort = 65535;
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  if (!std::all_of(option.begin(), option.end(), is_digit)) return option;
  const int port = option.empty() || option.size() > 5 ? kMostPort + 1 : std::stoi(option);
  MOESAIC_CHECK(port <= kMostPort, ErrorKind::kUsage,
                "--prometheus is '{}', of a port (0 to {}) or the path of a file", option,
                kMostPort);
  return port;
}

std::unique_ptr<RunMonitor> start_monitor(RunFacts facts,
                                          const std::variant<int, std::string>& where) {
  facts.host = host_name();
  facts.version = build_versions().front().second;
  auto monitor = std::make_unique<RunMonitor>(std::move(facts), where);
  std::fputs(format("metrics   {}\n", monitor->place()).c_str(), stderr);
  return monitor;
}

}  // namespace moesaic::cli
