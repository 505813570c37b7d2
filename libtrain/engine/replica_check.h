// ReplicaCheck: do the ranks that should hold the same values hold the same bits? A bit that flips
// in the memory of one rank is no error there; it is seen by comparing digests.
#pragma once

#include <cstdint>
#include <string>

#include "loss/step_part.h"
#include "optim/optimizer.h"
#include "parallel/parameter_set.h"

namespace moesaic {

/// Compares the digests of the entries, dense ones over world and those of experts over
/// expert_data; what is spread has no replica and is left out. Error(kDevice), the same on all
/// ranks and told by one that differs, names the first entry that is not the same and the ranks on
/// each side; `when` begins its message. Collective over world.
void require_equal_replicas(const RankContext& context, const StateDict& state,
                            const std::string& when);

/// Every so many steps and before each save: so a checkpoint is of replicas that agree.
class ReplicaCheck : public StepPart {
 public:
  /// Of the parameters and of the optimizer's state, which must outlive it.
  ReplicaCheck(std::int64_t every_steps, const ParameterSet& parameters, const Optimizer& optimizer)
      : every_steps_(every_steps), parameters_(parameters), optimizer_(optimizer) {}

  /// Collective over world, as the next one.
  void finished(const RankContext& context, const Step& step) override;
  void before_save(const RankContext& context, const LiveState& live) override;

 private:
  void check(const RankContext& context);

  std::int64_t every_steps_;
  const ParameterSet& parameters_;
  const Optimizer& optimizer_;
  std::int64_t step_ = 0;     // the last one
  std::int64_t checked_ = 0;  // the step of the last check
};

}  // namespace moesaic
