#include "federated/routed_tokens.h"

#include <utility>

namespace moesaic {

std::map<std::string, std::vector<double>> RoutedTokens::take(const RankContext& context,
                                                              const ParameterSet& parameters) {
  RoutingStats stats = std::exchange(stats_, {});
  stats.reduce(context.world);
  std::map<std::string, std::vector<double>> tokens;
  if (!stats.counts().defined()) return tokens;
  const at::Tensor counts_LE = stats.counts().to(at::kCPU, at::kDouble).contiguous();
  std::int64_t row = 0;
  for (const Parameter& parameter : parameters) {
    if (parameter.scope != Scope::kExpert) continue;
    const std::string layer = parameter.name.substr(0, parameter.name.find(".experts."));
    if (tokens.contains(layer)) continue;
    const double* first = counts_LE[row++].const_data_ptr<double>();
    tokens[layer].assign(first, first + parameter.shape[0]);
  }
  return tokens;
}

}  // namespace moesaic
