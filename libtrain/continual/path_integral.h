// PathIntegral: Synaptic Intelligence (Zenke et al. 2017, arXiv 1703.04200): how much each value
// has lowered the task's loss on its way, found out while it is trained.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>

#include "continual/change_path.h"
#include "continual/penalty.h"
#include "continual/task_end.h"
#include "optim/optimizer.h"

namespace moesaic {

/// omega = the sum over the task's steps of -g (w after - w before), g the gradient of the task's
/// loss alone (equation 3). At a task's end max(omega, 0) / ((w - anchor)^2 + xi) is added to the
/// importances and the anchor moves to w (equations 4 and 5); a negative importance would push the
/// weight away.
class PathIntegral : public TaskEnd {
 public:
  static constexpr double kXi = 0.1;  // bounds the importance of what has not moved

  /// The parameters, `remembered`, which pulls, its `penalty` and `changes`, which follows the
  /// weights with low-rank factors, must outlive it. `ownership` as for optimizers. `changes` may
  /// be nullptr where `remembered` has no pairs.
  PathIntegral(const ParameterSet& parameters, const Ownership* ownership, Remembered& remembered,
               const Penalty& penalty, const ChangePath* changes = nullptr);

  void task_ended(const RankContext& context, const LearnedTask& task) override;

  /// One entry of a step, before clipping's factor: the path grows by what `step` does to it.
  /// Local.
  void follow(const GradientEntry& entry, const std::function<void()>& step) const;

  /// path/<parameter>
  const StateDict& state() const { return state_; }

 private:
  const ParameterSet& parameters_;
  std::optional<Ownership> ownership_;
  Remembered& remembered_;
  const Penalty& penalty_;
  const ChangePath* changes_;
  std::map<std::int64_t, at::Tensor> path_;  // by position in the ParameterSet
  StateDict state_;
};

/// Each entry's step is followed by `path`, which must outlive it and whose state is saved with the
/// optimizer's.
std::unique_ptr<Optimizer> followed(std::unique_ptr<Optimizer> optimizer, const PathIntegral& path);

}  // namespace moesaic
