#include "moe/step_routing.h"

#include <algorithm>

#include "observe/load_history.h"

namespace moesaic {

void StepRouting::gradient_done(const RankContext& context, const Step& step) {
  if (every_step_ || step.logged) stats_.reduce(context.world);
}

void StepRouting::report(MetricsRow& row) const {
  const std::vector<double> violations = stats_.max_violations();
  const double active = stats_.active_experts();
  row.set("max_violation", *std::max_element(violations.begin(), violations.end()));
  row.set("dead_experts", stats_.dead_experts());
  row.set("dropped_fraction", stats_.dropped_fraction());
  row.set("active_experts", active);
  row.set("flops_per_token", flops_per_token_(active));
  row.vectors.emplace_back("layer_max_violation", violations);
  row.vectors.emplace_back("layer_load_entropy", stats_.entropies());
  const auto loads = stats_.loads();
  for (std::size_t layer = 0; layer < loads.size(); ++layer)
    row.vectors.emplace_back(load_name(layer), loads[layer]);
}

}  // namespace moesaic
