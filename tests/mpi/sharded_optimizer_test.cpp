// An optimizer whose state is shared out: the same weights as where each rank keeps all of it.
#include <ATen/ops/allclose.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <gtest/gtest.h>

#include <cmath>

#include "core/random.h"
#include "optim/clip.h"
#include "optim/optimizer.h"
#include "parallel/gradient_buckets.h"
#include "support/mpi_test.h"
#include "support/parameters.h"
#include "support/sample_checkpoint.h"

namespace moesaic {
namespace {

using test::kSampleExperts;

/// Dense parameters of one to three digest blocks, and experts.
ParameterSet sharded_sample(const RankContext& context) {
  std::vector<Parameter> set;
  const auto dense = [&](const std::string& name, const std::vector<std::int64_t>& shape) {
    set.push_back(test::parameter_of(name, test::sample_tensor(name, shape, at::kDouble, 0)));
  };
  const auto experts = [&](const std::string& name, std::vector<std::int64_t> shape) {
    const std::int64_t offset = context.plan.first_expert(context.rank(), kSampleExperts);
    shape[0] = context.plan.local_experts(kSampleExperts);
    set.push_back(test::expert_of(name, test::sample_tensor(name, shape, at::kDouble, offset),
                                  offset, kSampleExperts));
  };
  dense("embedding", {9001, 3});
  dense("norm", {7});
  experts("experts.up", {0, 6, 5});
  dense("router", {12, 5});
  experts("experts.down", {0, 5, 6});
  dense("head", {4100, 3});
  set[1].decay = false;
  return ParameterSet(std::move(set));
}

/// What a rank's micro-batch adds to a gradient in a step: of many magnitudes, so that another
/// order of summation would give other bits.
void add_contribution(const Parameter& parameter, std::int64_t step, int rank,
                      at::Tensor gradient) {
  const auto seed = static_cast<std::uint64_t>(1000 * step + 100 * parameter.index + rank);
  const RandomKey key(seed, RandomStream::kNoise);
  at::Tensor values = at::empty(gradient.sizes(), at::kDouble);
  double* data = values.mutable_data_ptr<double>();
  for (std::int64_t i = 0; i < values.numel(); ++i) {
    const auto element = static_cast<std::uint64_t>(i);
    data[i] = std::exp(4 * key.normal(2 * element)) * key.normal(2 * element + 1);
  }
  gradient.add_(values);
}

/// Some steps of one optimizer over the sums of all ranks.
class Training {
 public:
  Training(const RankContext& context, const OptimizerOptions& options, bool sharded)
      : context_(context),
        set_(sharded_sample(context)),
        buckets_(set_, context, {.bucket_bytes = 4000, .spread = sharded}) {
    const Ownership ownership = Ownership::make(set_, context);
    optimizer_ = make_optimizer(options, set_, sharded ? &ownership : nullptr);
    if (sharded) optimizer_ = gathering(std::move(optimizer_), [this] { buckets_.gather(set_); });
  }

  /// Returns the norm of the gradient.
  double step(std::int64_t number, double clip_norm) {
    buckets_.zero();
    buckets_.begin(true);
    for (std::size_t i = set_.size(); i-- > 0;) {
      add_contribution(set_[i], number, context_.rank(), buckets_.view(set_[i]));
      buckets_.complete(set_[i]);
    }
    buckets_.finish();
    Gradients gradients = buckets_.gradients(set_);
    MetricsRow report;
    ClipByGlobalNorm(clip_norm).apply(context_, {}, gradients, report);
    optimizer_->step(gradients, number, 0.01);
    return *report.find("grad_norm");
  }

  const ParameterSet& set() const { return set_; }
  /// Values of the state that this rank keeps.
  std::int64_t state_values() const {
    std::int64_t values = 0;
    for (const StateEntry& entry : optimizer_->state()) values += entry.tensor.numel();
    return values;
  }

 private:
  const RankContext& context_;
  ParameterSet set_;
  GradientBuckets buckets_;
  std::unique_ptr<Optimizer> optimizer_;
};

void expect_same(const RankContext& context, const OptimizerOptions& options, double clip_norm) {
  Training whole(context, options, false), sharded(context, options, true);
  for (std::int64_t step = 1; step <= 3; ++step) {
    const double norm = whole.step(step, clip_norm), other = sharded.step(step, clip_norm);
    EXPECT_NEAR(norm, other, 1e-12 * norm);
  }
  for (std::size_t i = 0; i < whole.set().size(); ++i) {
    const at::Tensor &a = whole.set()[i].tensor, &b = sharded.set()[i].tensor;
    // The norm is added up in another order; without it the bits are the same.
    EXPECT_TRUE(clip_norm > 0 ? at::allclose(a, b, 1e-10, 1e-13) : at::equal(a, b))
        << whole.set()[i].name << ", " << options.type << ", expert size " << context.plan.expert;
  }
}

TEST(ShardedOptimizer, ChangesTheWeightsAsTheWholeOneDoes) {
  for (const int expert : test::expert_sizes()) {
    const RankContext context = test::context(expert);
    for (const double clip_norm : {0.0, 1.0}) {
      expect_same(context, {.type = "adamw"}, clip_norm);
      expect_same(context, {.type = "sgd", .momentum = 0.9}, clip_norm);
      expect_same(context, {.type = "sgd"}, clip_norm);
    }
  }
}

TEST(ShardedOptimizer, KeepsEachValueOfTheStateOnOneRank) {
  for (const int expert : test::expert_sizes()) {
    const RankContext context = test::context(expert);
    const Training whole(context, {}, false), sharded(context, {}, true);
    const auto mine = static_cast<double>(sharded.state_values());
    const auto moments = 2.0 * static_cast<double>(whole.set().global_count());
    EXPECT_EQ(context.world.all_reduce(mine, ReduceOp::kSum, "state"), moments);
    // A digest block more than an even share, of dense parameters and of experts.
    const double blocks = 2.0 * (4096 * 3 + 6 * 5);
    EXPECT_LE(mine, moments / context.world.size() + blocks);
  }
}

}  // namespace
}  // namespace moesaic
