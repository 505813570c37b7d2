#include <ATen/ops/allclose.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>

#include "optim/clip.h"
#include "optim/optimizer.h"
#include "optim/schedule.h"
#include "support/parameters.h"

namespace moesaic {
namespace {

struct TwoParameters {
  ParameterSet set = make();

  static ParameterSet make() {
    std::vector<Parameter> parameters = {
        test::parameter_of("matrix", at::randn({5, 3}, at::kDouble)),
        test::parameter_of("norm", at::randn({5, 3}, at::kDouble))};
    parameters[1].decay = false;
    return ParameterSet(std::move(parameters));
  }
  Gradients gradients(const at::Tensor& a, const at::Tensor& b) {
    return {{{set[0], a.clone()}, {set[1], b.clone()}}};
  }
};

TEST(AdamW, FollowsAlgorithm2OfItsPaper) {
  TwoParameters p;
  const auto optimizer = make_adamw(p.set, {0.9, 0.99, 1e-8, 0.1});
  auto w = p.set[0].tensor.clone(), n = p.set[1].tensor.clone();
  auto m = at::zeros({5, 3}, at::kDouble), v = m.clone();
  for (int t = 1; t <= 5; ++t) {
    const auto g = at::randn({5, 3}, at::kDouble);
    Gradients gradients = p.gradients(g.mul(4), g.mul(4));
    gradients.scale = 0.25;
    optimizer->step(gradients, t, 0.01);
    EXPECT_EQ(gradients.entries[0].gradient.abs().max().item<double>(), 0);
    m = m.mul(0.9).add(g.mul(0.1));
    v = v.mul(0.99).add(g.square().mul(0.01));
    const auto update =
        m.div(1 - std::pow(0.9, t)).div(v.div(1 - std::pow(0.99, t)).sqrt().add(1e-8)).mul(0.01);
    w = w.mul(1 - 0.01 * 0.1).sub(update);
    n = n.sub(update);  // no decay on norms
  }
  EXPECT_TRUE(at::allclose(p.set[0].tensor, w, 1e-9, 1e-12));
  EXPECT_TRUE(at::allclose(p.set[1].tensor, n, 1e-9, 1e-12));
  EXPECT_EQ(optimizer->state().size(), 4U);
}

// Rows 1, 2 and 4 as if all were trained, the others not at all: not even by the decay.
TEST(Optimizer, ChangesTheUpdatedRowsAlone) {
  for (const bool adamw : {true, false}) {
    TwoParameters some, all;
    for (std::size_t i = 0; i < 2; ++i) at::Tensor(all.set[i].tensor).copy_(some.set[i].tensor);
    const at::Tensor before = some.set[0].tensor.clone();
    const auto made = [adamw](const ParameterSet& set) {
      return adamw ? make_adamw(set, {.weight_decay = 0.1})
                   : make_sgd(set, {.momentum = 0.9, .weight_decay = 0.1});
    };
    const auto one = made(some.set), other = made(all.set);
    for (std::int64_t step = 1; step <= 3; ++step) {
      const at::Tensor gradient = at::randn({5, 3}, at::kDouble);
      gradient[0].zero_(), gradient[3].zero_();
      Gradients part = some.gradients(gradient, gradient);
      part.entries[0].updated = {{1, 2}, {4, 1}};
      one->step(part, step, 0.01);
      other->step(all.gradients(gradient, gradient), step, 0.01);
      EXPECT_EQ(part.entries[0].gradient.abs().max().item<double>(), 0);
    }
    for (std::int64_t row = 0; row < 5; ++row) {
      const bool updated = row != 0 && row != 3;
      const at::Tensor& wanted = updated ? all.set[0].tensor : before;
      EXPECT_TRUE(at::equal(some.set[0].tensor[row], wanted[row])) << row;
    }
    EXPECT_TRUE(at::equal(some.set[1].tensor, all.set[1].tensor));
  }
}

// The second parameter as if it alone were trained at half the rate, with a decay of its own.
TEST(Optimizer, FollowsTheRatesOfAParameter) {
  const auto adamw = [](const ParameterSet& set, double decay) {
    return make_adamw(set, {.weight_decay = decay});
  };
  const auto sgd = [](const ParameterSet& set, double decay) {
    return make_sgd(set, {.momentum = 0.9, .weight_decay = decay});
  };
  const auto train = [](const ParameterSet& set, Optimizer& optimizer, double rate) {
    for (std::int64_t step = 1; step <= 3; ++step) {
      Gradients gradients;
      for (const Parameter& p : set)
        gradients.entries.push_back(
            {p, at::full({5, 3}, 0.5 * static_cast<double>(step), at::kDouble)});
      optimizer.step(gradients, step, rate);
    }
  };
  const at::Tensor start = at::randn({5, 3}, at::kDouble);
  const auto check = [&](const auto& make) {
    std::vector<Parameter> both = {test::parameter_of("plain", start.clone()),
                                   test::parameter_of("other", start.clone())};
    both[1].learning_rate_ratio = 0.5;
    both[1].weight_decay = 0.7;
    const ParameterSet set(std::move(both));
    const ParameterSet plain(std::vector<Parameter>{test::parameter_of("plain", start.clone())});
    const ParameterSet other(std::vector<Parameter>{test::parameter_of("other", start.clone())});
    const auto all = make(set, 0.1), first = make(plain, 0.1), second = make(other, 0.7);
    train(set, *all, 0.02);
    train(plain, *first, 0.02);
    train(other, *second, 0.01);
    EXPECT_TRUE(at::equal(set[0].tensor, plain[0].tensor));
    EXPECT_TRUE(at::equal(set[1].tensor, other[0].tensor));
  };
  check(adamw);
  check(sgd);
}

TEST(Sgd, AddsMomentumAndDecay) {
  TwoParameters p;
  const auto optimizer = make_sgd(p.set, {0.9, 0.1});
  auto w = p.set[0].tensor.clone();
  auto m = at::zeros({5, 3}, at::kDouble);
  for (int t = 1; t <= 3; ++t) {
    const auto g = at::randn({5, 3}, at::kDouble);
    Gradients gradients = p.gradients(g.mul(2), g.mul(2));
    gradients.scale = 0.5;
    optimizer->step(gradients, t, 0.01);
    EXPECT_EQ(gradients.entries[0].gradient.abs().max().item<double>(), 0);
    m = m.mul(0.9).add(g).add(w.mul(0.1));
    w = w.sub(m.mul(0.01));
  }
  EXPECT_TRUE(at::allclose(p.set[0].tensor, w, 1e-12, 1e-14));
}

TEST(ClipByGlobalNorm, ScalesAllGradientsByOneFactor) {
  TwoParameters p;
  const auto a = at::full({5, 3}, 3.0, at::kDouble), b = at::full({5, 3}, 4.0, at::kDouble);
  MetricsRow report;
  Gradients gradients = p.gradients(a, b);
  ClipByGlobalNorm(1.0).apply(RankContext::single(), {}, gradients, report);
  const double norm = *report.find("grad_norm");
  EXPECT_NEAR(norm, 5 * std::sqrt(15.0), 1e-12);
  EXPECT_NEAR(*report.find("clip_factor"), 1 / norm, 1e-15);
  EXPECT_NEAR(global_norm(RankContext::single(), gradients), 1.0, 1e-12);
}

TEST(ClipByGlobalNorm, OffOrBelowTheBoundChangesNothing) {
  TwoParameters p;
  const auto a = at::full({5, 3}, 3.0, at::kDouble), b = at::full({5, 3}, 4.0, at::kDouble);
  for (const double clip_norm : {0.0, 1000.0}) {
    MetricsRow report;
    Gradients gradients = p.gradients(a, b);
    ClipByGlobalNorm(clip_norm).apply(RankContext::single(), {}, gradients, report);
    EXPECT_EQ(*report.find("clip_factor"), 1);
    EXPECT_EQ(gradients.scale, 1);
    EXPECT_EQ(gradients.entries[0].gradient[0][0].item<double>(), 3.0);
  }
}

TEST(Schedule, WarmsUpLinearlyAndEndsAtTheMinimum) {
  const Schedule cosine({"cosine", 1.0, 10, 110, 0.1});
  EXPECT_DOUBLE_EQ(cosine.learning_rate(1), 0.1);
  EXPECT_DOUBLE_EQ(cosine.learning_rate(10), 1.0);
  EXPECT_DOUBLE_EQ(cosine.learning_rate(60), 0.55);
  EXPECT_DOUBLE_EQ(cosine.learning_rate(110), 0.1);
  const Schedule linear({"linear", 1.0, 0, 100, 0.0});
  EXPECT_DOUBLE_EQ(linear.learning_rate(25), 0.75);
  const Schedule constant({"constant", 2.0, 4, 100, 0.1});
  EXPECT_DOUBLE_EQ(constant.learning_rate(2), 1.0);
  EXPECT_DOUBLE_EQ(constant.learning_rate(99), 2.0);
}

TEST(Schedule, BeginsAnewWithEachTask) {
  const Schedule::Options options{"cosine", 1.0, 10, 999, 0.1};
  const Schedule tasks(options, TaskSteps({110, 30}));
  Schedule::Options second = options;
  second.max_steps = 30;
  const Schedule alone(second);
  EXPECT_DOUBLE_EQ(tasks.learning_rate(60), 0.55);
  EXPECT_DOUBLE_EQ(tasks.learning_rate(110), 0.1);
  for (const std::int64_t step : {1, 10, 17, 30})
    EXPECT_EQ(tasks.learning_rate(110 + step), alone.learning_rate(step)) << step;
}

// The second task is as a run of its own from the weights that the first one left.
TEST(Optimizer, BeginsAnewWithEachTask) {
  const auto train = [](TwoParameters& p, Optimizer& optimizer, std::int64_t from,
                        std::int64_t to) {
    for (std::int64_t step = from; step <= to; ++step) {
      const at::Tensor g = at::full({5, 3}, 1.0 / static_cast<double>(step % 4 + 1), at::kDouble);
      Gradients gradients = p.gradients(g, g);
      optimizer.step(gradients, step, 0.01);
    }
  };
  TwoParameters tasks, alone;
  for (std::size_t i = 0; i < 2; ++i) alone.set[i].tensor.copy_(tasks.set[i].tensor);
  const auto optimizer = numbered_by_task(make_adamw(tasks.set, {}), TaskSteps({4, 8}));
  train(tasks, *optimizer, 1, 4);
  forget(*optimizer);
  for (const StateEntry& entry : optimizer->state())
    EXPECT_EQ(entry.tensor.abs().max().item<double>(), 0) << entry.name;
  train(tasks, *optimizer, 5, 12);

  train(alone, *make_adamw(alone.set, {}), 1, 4);
  const auto second = make_adamw(alone.set, {});
  train(alone, *second, 1, 8);  // the gradients repeat after four steps
  for (std::size_t i = 0; i < 2; ++i)
    EXPECT_TRUE(at::equal(tasks.set[i].tensor, alone.set[i].tensor)) << i;
}

}  // namespace
}  // namespace moesaic
