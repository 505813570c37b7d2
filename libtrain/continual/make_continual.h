// What the block continual of a recipe adds to a run, beside the data and the sequence of its
// tasks.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "config/recipe.h"
#include "continual/fisher_end.h"
#include "continual/path_integral.h"
#include "continual/penalty.h"
#include "loss/loss_term.h"
#include "loss/step_part.h"
#include "optim/optimizer.h"

namespace moesaic {

/// What a run has already. The parameters and the model must outlive what is made.
struct ContinualSubject {
  const Recipe& recipe;
  const arch::Options& arch;
  const ParameterSet& parameters;  // with their starting weights
  const Model& model;
  const Computation& computation;
  const Ownership* ownership;  // nullptr: the optimizer is not sharded
  std::string digest;          // of the model at model.from; "" = the weights were drawn
  MakeAdapters make_adapters;
  at::Tensor slot_LE = {};  // where the experts of `parameters` lie (moe/placement.h)
};

/// Parts for the doors of a run; empty where the recipe has no such block. They refer to each
/// other: they are to end together.
struct ContinualRun {
  std::unique_ptr<Remembered> remembered;
  std::unique_ptr<GradientTransform> penalty;  // before clipping; nullptr = none
  std::unique_ptr<LossTerm> distillation;      // nullptr = none
  std::unique_ptr<StepPart> part;              // nullptr = none
  std::unique_ptr<TaskEnd> end;                // to be told of a task's end; nullptr = nobody
  const PathIntegral* path = nullptr;          // what `end` is with method si
  ChangePath* changes = nullptr;               // what `part` is then, with adapt.lora

  /// What is put around the optimizer that updates the values of this rank. Local.
  std::unique_ptr<Optimizer> around(const Recipe& recipe,
                                    std::unique_ptr<Optimizer> optimizer) const;
};

/// Reads the importances that the recipe names. Collective over world. Error on all ranks for those
/// that are damaged or of another model (store/importance_file.h).
ContinualRun make_continual(const ContinualSubject& subject, const RankContext& context);

}  // namespace moesaic
