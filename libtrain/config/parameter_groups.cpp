#include "config/parameter_groups.h"

#include <algorithm>
#include <array>
#include <utility>

#include "core/error.h"
#include "core/name_pattern.h"

namespace moesaic {
namespace {

/// Mixtral's names of an expert's matrices, as the other families have them.
std::string common_name(const std::string& name) {
  static constexpr std::array<std::pair<const char*, const char*>, 3> kNames = {
      {{".w1.weight", ".gate_proj.weight"},
       {".w2.weight", ".down_proj.weight"},
       {".w3.weight", ".up_proj.weight"}}};
  for (const auto& [own, common] : kNames) {
    const std::string end = own;
    if (name.ends_with(end)) return name.substr(0, name.size() - end.size()) + common;
  }
  return name;
}

bool matches_name(const NamePattern& pattern, const arch::ParameterInfo& info) {
  return pattern.matches(info.name) || pattern.matches(common_name(info.name));
}

}  // namespace

std::optional<std::string> problem_of(const ParameterGroupOptions& group,
                                      const arch::ParameterTable& table) {
  try {
    const NamePattern pattern(group.match);
    const bool any = std::any_of(table.begin(), table.end(), [&](const arch::ParameterInfo& info) {
      return matches_name(pattern, info);
    });
    if (any) return std::nullopt;
  } catch (const Error& error) {
    return error.what();
  }
  return format("'{}' matches the whole name of no parameter, such as {}", group.match,
                table.back().name);
}

void apply_groups(const std::vector<ParameterGroupOptions>& groups, arch::ParameterTable& table) {
  std::vector<NamePattern> patterns;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    const auto problem = problem_of(groups[i], table);
    MOESAIC_CHECK(!problem, ErrorKind::kRecipe, "optimizer.groups[{}].match: {}", i, *problem);
    patterns.emplace_back(groups[i].match);
  }
  for (arch::ParameterInfo& info : table) {
    const auto first = std::find_if(patterns.begin(), patterns.end(), [&](const auto& pattern) {
      return matches_name(pattern, info);
    });
    if (first == patterns.end()) continue;
    const auto& group = groups[static_cast<std::size_t>(first - patterns.begin())];
    info.learning_rate_ratio = group.learning_rate_ratio;
    info.weight_decay = group.weight_decay;
  }
}

}  // namespace moesaic
