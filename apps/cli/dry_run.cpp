#include "dry_run.h"

#include <algorithm>
#include <cstdio>
#include <utility>
#include <vector>

#include "config/silos.h"
#include "core/format.h"
#include "plan_report.h"

namespace moesaic::cli {
namespace {

using Groups = std::vector<std::vector<std::int64_t>>;

// Expert groups are consecutive ranks that hold every expert once; the ranks at one place of every
// group hold the same experts and reduce their gradients.
Groups expert_groups(const ParallelOptions& sizes) {
  Groups groups(static_cast<std::size_t>(sizes.ranks / sizes.expert));
  for (std::int64_t rank = 0; rank < sizes.ranks; ++rank) {
    groups[static_cast<std::size_t>(rank / sizes.expert)].push_back(rank);
  }
  return groups;
}

// `jobs`: ranks that train together; those of silos do not.
Groups expert_data_groups(const Groups& jobs, std::int64_t expert) {
  Groups groups;
  for (const auto& ranks : jobs) {
    Groups of_job(static_cast<std::size_t>(expert));
    for (const std::int64_t rank : ranks)
      of_job[static_cast<std::size_t>(rank % expert)].push_back(rank);
    groups.insert(groups.end(), of_job.begin(), of_job.end());
  }
  return groups;
}

// The slots of a federation, or all ranks.
Groups groups_that_train(const Recipe& recipe) {
  const auto ranks = static_cast<int>(recipe.parallel.ranks);
  SiloSlots slots{{ranks}};
  if (recipe.federated) slots = silo_slots(silos_of(recipe), ranks);
  Groups groups;
  std::int64_t next = 0;
  for (const int size : slots.ranks) {
    groups.emplace_back();
    for (int i = 0; i < size; ++i) groups.back().push_back(next++);
  }
  return groups;
}

// "[0, 1] [2, 3]", or the first few and how many there are.
std::string readable(const Groups& groups) {
  constexpr std::size_t kMostGroups = 4, kMostRanks = 8;
  std::string text;
  for (std::size_t i = 0; i < groups.size() && i < kMostGroups; ++i) {
    const auto& ranks = groups[i];
    const auto end =
        ranks.begin() + static_cast<std::ptrdiff_t>(std::min(kMostRanks, ranks.size()));
    text += format("[{}{}] ", join(ranks.begin(), end, ", "), end == ranks.end() ? "" : ", ...");
  }
  if (groups.size() > kMostGroups) text += format("... {} groups ", groups.size());
  text.pop_back();
  return text;
}

}  // namespace

void print_dry_run(const Recipe& recipe, const Launch& launch, bool json) {
  const Groups experts = expert_groups(recipe.parallel);
  const Groups training = groups_that_train(recipe);
  const Groups replicas = expert_data_groups(training, recipe.parallel.expert);
  if (json) {
    Json result = {{"plan", plan_json(recipe)},          {"run_dir", recipe.run_dir},
                   {"expert_groups", experts},           {"expert_data_groups", replicas},
                   {"threads_per_rank", launch.threads}, {"bound", launch.bound},
                   {"argv", launch.command.argv}};
    if (recipe.federated) result["silo_groups"] = training;
    std::puts(result.dump(2, ' ', false, Json::error_handler_t::replace).c_str());
    return;
  }
  print_plan(recipe);
  std::vector<std::pair<const char*, std::string>> rows = {
      {"expert groups", readable(experts)},
      {"expert-data groups", readable(replicas)},
      {"threads of a rank",
       format("{}, {}", launch.threads, launch.bound ? "bound to cores of its own" : "not bound")},
      {"run folder", recipe.run_dir},
      {"command", launch.command.shell_text()}};
  if (recipe.federated) rows.insert(rows.begin(), {"groups of silos", readable(training)});
  for (const auto& [label, value] : rows) std::puts(format("  {:<26} {}", label, value).c_str());
}

}  // namespace moesaic::cli
