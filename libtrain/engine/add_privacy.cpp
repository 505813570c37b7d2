#include "engine/add_privacy.h"

#include <utility>

#include "core/error.h"
#include "engine/source_digests.h"
#include "privacy/make_privacy.h"

namespace moesaic {

void add_privacy(const Recipe& recipe, const RankContext& context, UnitStream* units,
                 TrainingParts& parts) {
  if (!recipe.privacy) return;
  MOESAIC_ASSERT(units != nullptr);
  const std::string digest =
      context.is_chief() ? digest_of_sources(parts.data.at("train")) : std::string();
  PrivacyRun run = make_privacy({.recipe = recipe,
                                 .parameters = *parts.parameters,
                                 .computation = parts.computation,
                                 .data = digest,
                                 .units = *units,
                                 .max_steps = parts.max_steps},
                                context, std::move(parts.sink));
  parts.around.push_back(std::move(run.part));
  parts.sink = std::move(run.sink);
  parts.transforms.push_back(std::move(run.noise));
}

}  // namespace moesaic
