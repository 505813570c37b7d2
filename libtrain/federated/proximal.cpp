#include "federated/proximal.h"

#include "core/format.h"

namespace moesaic {

std::string Proximal::name() const { return format("fedprox({})", mu_); }

void Proximal::apply(const RankContext& /*context*/, const Step& /*step*/, Gradients& gradients,
                     MetricsRow& /*report*/) {
  for (GradientEntry& entry : gradients.entries) {
    const at::Tensor anchor = model_.of(entry.parameter);
    if (!anchor.defined() || entry.gradient.numel() == 0) continue;
    const at::Tensor away = entry.weight().sub(entry.rows_of(anchor));
    entry.gradient.add_(away, mu_ / gradients.scale);
  }
}

}  // namespace moesaic
