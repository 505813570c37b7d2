#include "engine/add_privacy.h"

#include <utility>

#include "core/error.h"
#include "engine/source_digests.h"
#include "privacy/make_privacy.h"
#include "privacy/step_cost.h"

namespace moesaic {

void add_privacy(const Recipe& recipe, const RankContext& context, const RunData& data,
                 TrainingParts& parts) {
  if (!recipe.privacy) return;
  MOESAIC_ASSERT(!data.units.empty());
  const std::string digest = context.is_chief() ? digest_of_training(parts.data) : std::string();
  std::optional<TaskSteps> tasks;
  if (data.tasks) tasks = data.tasks->steps;
  PrivacyRun run = make_privacy({.recipe = recipe,
                                 .parameters = *parts.parameters,
                                 .computation = parts.computation,
                                 .data = digest,
                                 .units = data.units,
                                 .tasks = tasks,
                                 .max_steps = parts.max_steps},
                                context, std::move(parts.sink));
  // A checkpoint says nothing exact of them; by its ledger they are known again.
  if (context.is_chief() && is_private(*recipe.privacy)) parts.data = without_training(parts.data);
  parts.around.push_back(std::move(run.part));
  parts.sink = std::move(run.sink);
  parts.transforms.push_back(std::move(run.noise));
}

}  // namespace moesaic
