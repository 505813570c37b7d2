// ChangePath: what PathIntegral follows of weights that low-rank factors change: the gradient of
// the whole weight times the way of its change, step by step. The factors' own gradients say
// nothing of a single value of the weight.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "continual/low_rank.h"
#include "loss/step_part.h"
#include "nn/gradient_sink.h"

namespace moesaic {

class ChangePath : public StepPart {
 public:
  /// Keeps two values for each one of a weight with a pair: its path, and the gradient of the step
  /// under way. What the pairs refer to must outlive it.
  explicit ChangePath(const std::vector<LowRankPair>& pairs);

  bool follows(const Parameter& weight) const { return of_.contains(weight.index); }
  /// A use of a weight that it follows. Local.
  void add(const ParameterUse& use, MatmulKernel kernel);
  /// The sum since the task began of -g x the way of the change; shaped like the weight. To be
  /// zeroed at a task's end.
  at::Tensor of(const Parameter& weight) const { return of_.at(weight.index).path; }

  void before(const Step& step) override;
  /// Sums the gradients over the ranks. Collective over world.
  void gradient_done(const RankContext& context, const Step& step) override;
  void after(const RankContext& context, const Step& step) override;
  /// path/<weight>
  StateDict state() const override;

 private:
  struct Of {
    LowRankPair pair;
    at::Tensor gradient, path;
    at::Tensor a, b;  // before the step
  };
  std::map<std::int64_t, Of> of_;  // by position in the ParameterSet
};

/// Hands the uses of frozen weights that `path` follows to it, and all others on to `sink`. `path`
/// must outlive it.
std::unique_ptr<GradientSink> followed_by(ChangePath& path, std::unique_ptr<GradientSink> sink,
                                          MatmulKernel kernel);

}  // namespace moesaic
