// Penalties on any layout: the same trajectory, also where their state was saved on another one.
#include "continual/penalty.h"

#include <ATen/ops/allclose.h>
#include <gtest/gtest.h>

#include "continual/anchored_decay.h"
#include "optim/clip.h"
#include "parallel/gradient_buckets.h"
#include "store/checkpoint.h"
#include "support/mpi_test.h"
#include "support/parameters.h"
#include "support/sample_checkpoint.h"
#include "support/shared_folder.h"

namespace moesaic {
namespace {

using test::kSampleExperts;

/// Values of `name` where the parameter's are, about 1.
at::Tensor values_of(const std::string& name, const Parameter& parameter) {
  return test::sample_tensor(name + "/" + parameter.name, parameter.tensor.sizes().vec(),
                             at::kDouble, parameter.offset)
      .div(16);
}

/// Trained in full: three digest blocks, experts, a router; frozen: weights with factors.
ParameterSet penalised_sample(const RankContext& context) {
  std::vector<Parameter> set;
  const auto add = [&](const std::string& name, std::vector<std::int64_t> shape, bool experts) {
    const std::int64_t offset =
        experts ? context.plan.first_expert(context.rank(), kSampleExperts) : 0;
    if (experts) shape[0] = context.plan.local_experts(kSampleExperts);
    const at::Tensor values = test::sample_tensor(name, shape, at::kDouble, offset).div(16);
    set.push_back(experts ? test::expert_of(name, values, offset, kSampleExperts)
                          : test::parameter_of(name, values));
    set.back().adapter = name.ends_with(".a") || name.ends_with(".b");
    set.back().trainable = !name.ends_with(".frozen");
  };
  add("embedding", {9001, 3}, false);
  add("experts.up", {0, 6, 5}, true);
  add("router", {12, 5}, false);
  add("dense.frozen", {7, 5}, false);
  add("dense.a", {2, 5}, false);
  add("dense.b", {7, 2}, false);
  add("experts.frozen", {0, 4, 5}, true);
  add("experts.a", {0, 2, 5}, true);
  add("experts.b", {0, 4, 2}, true);
  set[2].group = arch::Group::kRouter;
  return ParameterSet(std::move(set));
}

std::vector<LowRankPair> pairs_of(const ParameterSet& set) {
  const auto pair = [&](const std::string& name) {
    return LowRankPair{*set.find(name + ".frozen"), *set.find(name + ".a"), *set.find(name + ".b"),
                       0.5};
  };
  return {pair("dense"), pair("experts")};
}

/// Steps towards values of a task, under the pull to two earlier ones.
class Training {
 public:
  Training(const RankContext& context, bool sharded)
      : context_(context),
        set_(penalised_sample(context)),
        buckets_(set_, context, {.bucket_bytes = 4000, .spread = sharded}),
        ownership_(Ownership::make(set_, context)),
        remembered_(set_, pairs_of(set_), sharded ? &ownership_ : nullptr, {.changes = true}) {
    for (const std::string task : {"first", "second"}) {
      Importance learned;
      for (const Parameter& parameter : set_)
        learned.push_back(
            {values_of(task + ".fisher", parameter).abs(), values_of(task + ".anchor", parameter)});
      remembered_.join(context, learned);
    }
    optimizer_ = decaying_to_anchors(
        make_adamw(set_, {.weight_decay = 0.1}, sharded ? &ownership_ : nullptr), remembered_, 0.1);
    if (sharded) optimizer_ = gathering(std::move(optimizer_), [this] { buckets_.gather(set_); });
  }

  /// -> the loss of the penalty.
  double step(std::int64_t number) {
    buckets_.zero();
    buckets_.begin(true);
    for (std::size_t i = set_.size(); i-- > 0;) {
      if (!set_[i].trainable) continue;
      const auto& group = set_[i].scope == Scope::kDense ? context_.world : context_.expert_data;
      buckets_.view(set_[i]).add_(set_[i].tensor.sub(values_of("goal", set_[i])).div(group.size()));
      buckets_.complete(set_[i]);
    }
    buckets_.finish();
    Gradients gradients = buckets_.gradients(set_);
    MetricsRow report;
    penalty_.apply(context_, {}, gradients, report);
    ClipByGlobalNorm(1.0).apply(context_, {}, gradients, report);
    optimizer_->step(gradients, number, 0.01);
    return penalty_.loss();
  }

  CheckpointContent content() const {
    CheckpointContent content;
    content.model = state_of(set_);
    content.state = optimizer_->state();
    const StateDict penalty = penalty_.state();
    content.state.insert(content.state.end(), penalty.begin(), penalty.end());
    return content;
  }
  const ParameterSet& set() const { return set_; }

 private:
  const RankContext& context_;
  ParameterSet set_;
  GradientBuckets buckets_;
  Ownership ownership_;
  Remembered remembered_;
  Penalty penalty_{remembered_, {"ewc", 0.3, 0.7}};
  std::unique_ptr<Optimizer> optimizer_;
};

/// The rows of `part`'s parameters are those of `whole`, which holds all.
void expect_same_weights(const ParameterSet& part, const ParameterSet& whole) {
  for (const Parameter& parameter : part) {
    const at::Tensor rows =
        whole.find(parameter.name)->tensor.narrow(0, parameter.offset, parameter.tensor.size(0));
    EXPECT_TRUE(at::allclose(parameter.tensor, rows, 1e-10, 1e-12)) << parameter.name;
  }
}

TEST(Penalty, HasTheSameTrajectoryOnEveryLayout) {
  const RankContext alone = RankContext::single();
  Training whole(alone, false);
  std::vector<double> losses;
  for (std::int64_t step = 1; step <= 4; ++step) losses.push_back(whole.step(step));
  EXPECT_GT(losses[0], 0);
  for (const int expert : test::expert_sizes()) {
    for (const bool sharded : {false, true}) {
      const RankContext context = test::context(expert);
      Training part(context, sharded);
      for (std::int64_t step = 1; step <= 4; ++step) {
        const double loss = losses[static_cast<std::size_t>(step - 1)];
        EXPECT_NEAR(part.step(step), loss, 1e-10 * loss) << expert << sharded;
      }
      expect_same_weights(part.set(), whole.set());
    }
  }
}

// Saved on all ranks, sharded; gone on with by each rank for itself.
TEST(Penalty, GoesOnOnAnotherLayoutFromItsState) {
  for (const int expert : test::expert_sizes()) {
    const RankContext context = test::context(expert);
    const test::SharedFolder folder(context.world);
    Training many(context, true);
    for (std::int64_t step = 1; step <= 2; ++step) many.step(step);
    CheckpointStore({.folder = folder.path()}).save(context, 2, many.content());

    const RankContext alone = RankContext::single();
    Training one(alone, false);
    CheckpointContent content = one.content();
    CheckpointStore::load(alone, CheckpointStore::open(alone, folder.path()), content);
    for (std::int64_t step = 3; step <= 4; ++step) {
      const double loss = one.step(step);
      EXPECT_NEAR(many.step(step), loss, 1e-10 * loss);
    }
    expect_same_weights(many.set(), one.set());
  }
}

}  // namespace
}  // namespace moesaic
