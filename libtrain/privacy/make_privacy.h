// What the block privacy of a recipe adds to a run.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/recipe.h"
#include "data/task_steps.h"
#include "data/unit_stream.h"
#include "loss/step_part.h"
#include "nn/gradient_sink.h"
#include "optim/gradient_transform.h"

namespace moesaic {

/// What a run has already. Parameters and units must outlive what is made.
struct PrivacySubject {
  const Recipe& recipe;
  const ParameterSet& parameters;
  const Computation& computation;
  std::string data;                // digest of the training data, of all tasks; the chief's
  std::vector<UnitStream*> units;  // of the run, or of each of its tasks
  std::optional<TaskSteps> tasks;
  std::int64_t max_steps = 0;  // of the run
};

/// Parts for the doors of a run. They refer to each other: they are to end together.
struct PrivacyRun {
  std::unique_ptr<StepPart> part;            // after the other parts: it says what a row may show
  std::unique_ptr<GradientSink> sink;        // hands on clipped gradients
  std::unique_ptr<GradientTransform> noise;  // before all other transforms
};

/// Of a recipe with the block. `sink` gets the sum of the clipped gradients, divided by
/// expected_batch_size as the losses are (loss/unit_mean.h). Collective over world. Error(kRecipe)
/// on all ranks where no noise is enough.
PrivacyRun make_privacy(const PrivacySubject& subject, const RankContext& context,
                        std::unique_ptr<GradientSink> sink);

}  // namespace moesaic
