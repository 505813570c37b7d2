#include "engine/add_watches.h"

#include "engine/rank_timer.h"
#include "engine/replica_check.h"

namespace moesaic {

void add_watches(const Recipe& recipe, const RankContext& context, TrainingParts& parts) {
  if (context.world.size() == 1) return;
  const ParallelOptions& parallel = recipe.parallel;
  if (parallel.straggler_ratio > 0 && context.device.is_cpu())
    parts.around.push_back(std::make_unique<RankTimer>(parallel.straggler_ratio, context));
  if (parallel.check_replicas_every > 0) {
    parts.around.push_back(std::make_unique<ReplicaCheck>(parallel.check_replicas_every,
                                                          *parts.parameters, *parts.optimizer));
  }
}

}  // namespace moesaic
