// StepPart: what a run does around its steps beside computing the gradient: what moves experts,
// correction biases, budgets, tasks, rounds. A part is told of each moment of a step, keeps state
// by global name and notes in the checkpoint's manifest. Every moment does nothing unless a part
// says otherwise.
#pragma once

#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <vector>

#include "core/json.h"
#include "loss/model.h"
#include "observe/metrics.h"
#include "parallel/rank_context.h"
#include "parallel/state_dict.h"
#include "parallel/step.h"

namespace moesaic {

/// The live state of a run: what a part may move about.
struct LiveState {
  StateDict entries;  // parameters and what training alone needs
  /// To be called after a save before entries change: returns when nobody reads them any more, and
  /// no copy of them is used again.
  std::function<void()> before_change;
};

class StepPart {
 public:
  virtual ~StepPart() = default;

  /// Before step `number` is begun: what keeps it from being begun, the same on all ranks, or
  /// nothing. The run saves and ends with it. Collective over world where a part says so.
  virtual std::exception_ptr admit(const RankContext& /*context*/, std::int64_t /*number*/) {
    return nullptr;
  }
  /// Before the first round. Collective over world where a part says so.
  virtual void before(const Step& /*step*/) {}
  /// Before the forward pass of a micro-batch, whose context it may add to. Local.
  virtual void before_forward(ForwardContext& /*context*/) {}
  /// What a micro-batch's forward pass left behind. Local.
  virtual void after_forward(const ModelOutput& /*output*/) {}
  /// The gradient is complete, the transforms have not seen it. Collective over world where a part
  /// says so.
  virtual void gradient_done(const RankContext& /*context*/, const Step& /*step*/) {}
  /// After the optimizer. Collective over world where a part says so.
  virtual void after(const RankContext& /*context*/, const Step& /*step*/) {}
  /// The step is over, also one that was skipped, and the weights may be used: before its row is
  /// written and before a save. Collective over world where a part says so.
  virtual void finished(const RankContext& /*context*/, const Step& /*step*/) {}
  /// A step that is logged: what the row shows, equal on all ranks. Local.
  virtual void report(MetricsRow& /*row*/) const {}

  /// Around a save: before it, and once it was begun. Collective over world where a part says so.
  virtual void before_save(const RankContext& /*context*/, const LiveState& /*live*/) {}
  virtual void after_save(const RankContext& /*context*/, const LiveState& /*live*/) {}

  /// For state.h5, by global name.
  virtual StateDict state() const { return {}; }
  /// For the manifest's "training", under keys of its own.
  virtual void add_notes(Json& /*training*/) const {}
  /// Before a checkpoint is loaded over the live state of a run that has trained: entries come to
  /// lie as files have them. Collective over world where a part says so.
  virtual void before_restore(const RankContext& /*context*/, const LiveState& /*live*/) {}
  /// After a checkpoint was loaded: its manifest's "training". Collective over world where a part
  /// says so.
  virtual void restore(const RankContext& /*context*/, const Json& /*training*/,
                       const LiveState& /*live*/) {}
};

using StepParts = std::vector<std::unique_ptr<StepPart>>;

}  // namespace moesaic
