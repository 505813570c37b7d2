// Expert-specialised fine-tuning (Wang et al. 2024, arXiv 2407.01906): a run trains the experts
// that its own data go to. They are chosen before its first step, are in each checkpoint, and a
// resumed run keeps them.
#pragma once

#include <memory>

#include "config/recipe.h"
#include "data/step_data.h"
#include "loss/step_part.h"
#include "optim/gradient_transform.h"

namespace moesaic {

struct EsftSetup {
  EsftOptions esft;
  arch::Options arch;
  std::int64_t max_steps = 0;  // of the run: its data
};

/// What chooses, and what leaves all other experts out (adapt/chosen_experts.h).
struct EsftRun {
  std::unique_ptr<StepPart> part;
  std::unique_ptr<GradientSink> sink;
  std::unique_ptr<GradientTransform> transform;
};

/// Of a run whose table has most_experts (config/training_table.h). All that is referred to must
/// outlive it. The choice is made in the part's before() unless restore() brought it, collective
/// over world. `sink` gets the gradients of chosen experts. Local.
EsftRun make_esft(const EsftSetup& setup, const ParameterSet& parameters, const Model& model,
                  const Computation& computation, const StepData& data, const RankContext& context,
                  std::unique_ptr<GradientSink> sink);

}  // namespace moesaic
