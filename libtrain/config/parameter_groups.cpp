#include "config/parameter_groups.h"

#include <algorithm>

#include "config/name_pattern.h"
#include "core/error.h"

namespace moesaic {
std::optional<std::string> problem_of(const ParameterGroupOptions& group,
                                      const arch::ParameterTable& table) {
  try {
    const NamePattern pattern("optimizer.groups.match", group.match);
    const bool any = std::any_of(table.begin(), table.end(), [&](const arch::ParameterInfo& info) {
      return pattern.matches(info.name);
    });
    if (any) return std::nullopt;
  } catch (const KeyError& error) {
    return error.message();
  }
  return format("'{}' matches the whole name of no parameter, such as {}", group.match,
                table.back().name);
}

void apply_groups(const std::vector<ParameterGroupOptions>& groups, arch::ParameterTable& table) {
  std::vector<NamePattern> patterns;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    const auto problem = problem_of(groups[i], table);
    MOESAIC_CHECK(!problem, ErrorKind::kRecipe, "optimizer.groups[{}].match: {}", i, *problem);
    patterns.emplace_back("optimizer.groups.match", groups[i].match);
  }
  for (arch::ParameterInfo& info : table) {
    const auto first = std::find_if(patterns.begin(), patterns.end(), [&](const auto& pattern) {
      return pattern.matches(info.name);
    });
    if (first == patterns.end()) continue;
    const auto& group = groups[static_cast<std::size_t>(first - patterns.begin())];
    info.learning_rate_ratio *= group.learning_rate_ratio;
    info.weight_decay = group.weight_decay;
  }
}

}  // namespace moesaic
