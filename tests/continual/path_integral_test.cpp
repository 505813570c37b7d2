#include "continual/path_integral.h"

#include <ATen/ops/allclose.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

#include "support/parameters.h"

namespace moesaic {
namespace {

class NoData : public StepData {
 public:
  StepSize size(std::int64_t) const override { return {}; }
  Batch micro_batch(std::int64_t, std::int64_t) const override { return {}; }
};

// Two values with a quadratic loss each, trained by plain gradient descent through all parts.
struct Descent {
  ParameterSet set{std::vector<Parameter>{test::parameter_of("w", at::randn({3, 2}, at::kDouble))}};
  Remembered remembered{set, {}, nullptr, {.joining = Joining::kRunning}};
  Penalty penalty{remembered, {"si", 0.5}};
  PathIntegral path{set, nullptr, remembered, penalty};
  std::unique_ptr<Optimizer> optimizer = followed(make_sgd(set, {}), path);
  at::Tensor goal = at::randn({3, 2}, at::kDouble);

  at::Tensor weight() const { return set[0].tensor; }
  /// -> the gradient of the task's loss alone.
  at::Tensor step(double clip) {
    const at::Tensor task = weight().sub(goal);
    Gradients gradients{{{set[0], task.clone()}}};
    MetricsRow report;
    penalty.apply(RankContext::single(), {}, gradients, report);
    gradients.scale = clip;
    optimizer->step(gradients, 1, 0.1);
    return task;
  }
  void end_task() {
    const NoData data;
    const Recipe recipe;
    path.task_ended(RankContext::single(), {.name = "task", .recipe = recipe, .data = data});
  }
};

TEST(PathIntegral, IsTheWorkOfTheTasksGradientAlongTheWay) {
  Descent descent;
  at::Tensor importance = at::zeros_like(descent.weight());
  for (int task = 0; task < 2; ++task) {
    const at::Tensor start = descent.weight().clone();
    at::Tensor work = at::zeros_like(start);
    for (const double clip : {1.0, 0.5, 1.0}) {
      const at::Tensor before = descent.weight().clone();
      const at::Tensor gradient = descent.step(clip);
      work.sub_(gradient.mul(descent.weight().sub(before)));
    }
    const at::Tensor way = descent.weight().sub(start);
    importance.add_(work.clamp_min(0).div(way.square().add(PathIntegral::kXi)));
    descent.end_task();
    const Remembered::Of& of = *descent.remembered.find(descent.set[0]);
    EXPECT_TRUE(at::allclose(of.fisher, importance, 1e-10, 1e-12));
    EXPECT_TRUE(at::allclose(of.anchor, descent.weight(), 0, 0));
    EXPECT_GT(importance.max().item<double>(), 0);
    descent.goal = at::randn({3, 2}, at::kDouble);
  }
}

TEST(PathIntegral, BeginsAnewWithEachTaskAndIsState) {
  Descent descent;
  descent.step(1);
  const StateDict state = descent.optimizer->state();
  ASSERT_EQ(state.size(), 1U);
  EXPECT_EQ(state[0].name, "path/w");
  EXPECT_GT(state[0].tensor.abs().max().item<double>(), 0);
  descent.end_task();
  EXPECT_EQ(state[0].tensor.abs().max().item<double>(), 0);
}

}  // namespace
}  // namespace moesaic
