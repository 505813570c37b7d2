#include "engine/add_continual.h"

#include <utility>

#include "adapt/lora.h"
#include "continual/make_continual.h"

namespace moesaic {

std::unique_ptr<Optimizer> add_continual(const Recipe& recipe, const arch::Options& arch,
                                         const RankContext& context, const std::string& digest,
                                         const Ownership* ownership,
                                         std::unique_ptr<Optimizer> optimizer,
                                         TrainingParts& parts) {
  const auto adapters = [recipe, arch](const ParameterSet& parameters) {
    return make_lora(recipe, arch, parameters);
  };
  ContinualRun run = make_continual({.recipe = recipe,
                                     .arch = arch,
                                     .parameters = *parts.parameters,
                                     .model = *parts.model,
                                     .computation = parts.computation,
                                     .ownership = ownership,
                                     .digest = digest,
                                     .make_adapters = adapters,
                                     .slot_LE = parts.slot_LE},
                                    context);
  optimizer = run.around(recipe, std::move(optimizer));
  if (run.penalty) parts.transforms.push_back(std::move(run.penalty));
  if (run.distillation) parts.losses.push_back(std::move(run.distillation));
  if (run.changes != nullptr)
    parts.sink = followed_by(*run.changes, std::move(parts.sink), parts.computation.matmul);
  if (run.part) parts.around.push_back(std::move(run.part));
  if (run.end) parts.task_ends.push_back(run.end.get());
  parts.remembered = std::move(run.remembered);
  parts.task_end = std::move(run.end);
  return optimizer;
}

}  // namespace moesaic
