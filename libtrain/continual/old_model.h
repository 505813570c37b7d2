// OldModel: a frozen copy of a model as it was when something had been learned. Beside the one that
// is trained it computes what it would say: exact for any data, without a pass over them before the
// run and without files of outputs, whose top k alone would be another distribution.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "arch/arch.h"
#include "continual/low_rank.h"
#include "continual/task_end.h"
#include "loss/model.h"
#include "loss/step_part.h"
#include "parallel/state_dict.h"

namespace moesaic {

/// Makes a model of the parameters of an architecture, without adapters; they must outlive it.
using MakeModel = std::function<std::unique_ptr<Model>(const ParameterSet& parameters)>;

class OldModel {
 public:
  /// Holds the values of `parameters` with what the pairs change. `knows`: they have been trained.
  /// Local.
  OldModel(const ParameterSet& parameters, std::vector<LowRankPair> pairs,
           const RankContext& context, const arch::Options& arch, const Computation& computation,
           const MakeModel& make_model, bool knows);

  /// Takes the values that the parameters have now: they have been trained. Local.
  void take();
  /// Whether it has learned anything.
  bool knows() const { return knows_.item<double>() > 0; }

  /// From now on the outputs alone that it has learned are worth a look: none yet. Local.
  void limit_outputs();
  /// It has learned more of them, bool [V]. Local.
  void learned(const at::Tensor& outputs_V);
  /// bool [V], those that it has learned; undefined: all of them count. On the host.
  at::Tensor outputs() const;

  /// On the batch of another pass, which must outlive this one; in inference's way. Not in the
  /// graph. Collective over the expert group.
  ForwardContext context(const Batch& batch) { return computation_.forward(batch); }
  at::Tensor hidden(const ForwardContext& context) const;
  const Linear& head() const { return model_->head(); }

  /// old/<parameter>, old_model/knows and, where they are limited, old_model/outputs; after they
  /// were loaded or moved, changed() is to be called.
  StateDict state() const;
  void changed() { computation_.weights.invalidate(); }

 private:
  const ParameterSet& live_;
  std::vector<LowRankPair> pairs_;
  ParameterSet own_;
  Computation computation_;
  std::unique_ptr<Model> model_;
  at::Tensor knows_;      // scalar, 1 or 0
  at::Tensor outputs_V_;  // 1 or 0; undefined: they are not limited
};

/// What a run of several tasks does with it: its values are saved, and become those that each task
/// has left.
std::unique_ptr<StepPart> saving(std::shared_ptr<OldModel> old);
std::unique_ptr<TaskEnd> renewing(std::shared_ptr<OldModel> old, const arch::Options& arch);

}  // namespace moesaic
