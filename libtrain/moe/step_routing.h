// StepRouting: the routing statistics of the step under way: for its row of metrics, and for the
// parts of a step that change something by them.
#pragma once

#include <functional>

#include "loss/step_part.h"
#include "moe/routing_stats.h"

namespace moesaic {

class StepRouting : public StepPart {
 public:
  /// `flops_per_token`: of a token that meets so many experts in each layer.
  explicit StepRouting(std::function<double(double active_experts)> flops_per_token)
      : flops_per_token_(std::move(flops_per_token)) {}
  /// Some part looks at the whole step's after each step, not only the metrics.
  void sum_every_step() { every_step_ = true; }

  void before(const Step& /*step*/) override { stats_ = {}; }
  void after_forward(const ModelOutput& output) override { stats_.add(output.routers); }
  /// Collective over world in steps that are logged, or all.
  void gradient_done(const RankContext& context, const Step& step) override;
  void report(MetricsRow& row) const override;

  /// Of the whole step after gradient_done(), where that was collective; else of this rank.
  const RoutingStats& stats() const { return stats_; }

 private:
  std::function<double(double)> flops_per_token_;
  bool every_step_ = false;
  RoutingStats stats_;
};

}  // namespace moesaic
