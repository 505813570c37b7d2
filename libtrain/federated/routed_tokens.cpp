#include "federated/routed_tokens.h"

#include <utility>

#include "store/hub_names.h"

namespace moesaic {

std::map<std::string, double> RoutedTokens::take(const RankContext& context,
                                                 const ParameterSet& parameters) {
  RoutingStats stats = std::exchange(stats_, {});
  stats.reduce(context.world);
  std::map<std::string, double> tokens;
  if (!stats.counts().defined()) return tokens;
  const at::Tensor counts_LE = stats.counts().cpu();
  std::map<std::string, std::int64_t> row_of;  // by what stands before the experts' names
  for (const Parameter& parameter : parameters) {
    if (parameter.scope != Scope::kExpert) continue;
    const std::string layer = parameter.name.substr(0, parameter.name.find(".experts."));
    const std::int64_t row = row_of.try_emplace(layer, std::ssize(row_of)).first->second;
    for (std::int64_t expert = 0; expert < parameter.shape[0]; ++expert)
      tokens[hub_name(parameter.name, expert)] =
          static_cast<double>(counts_LE[row][expert].item<std::int64_t>());
  }
  return tokens;
}

}  // namespace moesaic
