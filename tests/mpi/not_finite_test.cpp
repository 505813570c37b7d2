// A number that is not finite on one rank: all ranks stop, skip or rewind alike.
#include "engine/not_finite.h"

#include <ATen/ops/equal.h>
#include <ATen/ops/isfinite.h>
#include <gtest/gtest.h>

#include <limits>

#include "core/error.h"
#include "core/fs.h"
#include "support/mpi_test.h"
#include "support/shared_folder.h"
#include "support/tiny_parts.h"

namespace moesaic {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

/// On the last rank, of step 4: a loss that is NaN, as often as `times` says.
class SpoiltLoss : public LossTerm {
 public:
  SpoiltLoss(const RankContext& context, int times)
      : mine_(context.rank() + 1 == context.world.size()), times_(times) {}
  const char* name() const override { return "loss_spoilt"; }
  void begin_step() override { first_ = true; }
  TermValue evaluate(const StepView& view) override {
    const bool now = mine_ && first_ && view.context.step == 4 && times_ > 0;
    first_ = false;
    if (now) --times_;
    const double value = now ? kNan : 0.0;
    return {view.output.hidden_TD.sum().mul(value).to(at::kDouble), value};
  }

 private:
  bool mine_;
  bool first_ = true;  // of the step's micro-batches
  int times_;
};

/// The same after the sums over the ranks: the fault of the last rank alone.
class FaultyRank : public GradientTransform {
 public:
  explicit FaultyRank(int times) : times_(times) {}
  std::string name() const override { return "faulty"; }
  void apply(const RankContext& context, const Step& step, Gradients&, MetricsRow& row) override {
    const bool now = step.number == 4 && times_-- > 0;
    row.set("fault", now && context.rank() + 1 == context.world.size() ? kNan : 0.0);
  }

 private:
  int times_;
};

enum class Where { kLoss, kOneRank };

/// A run of six steps on all ranks, the fourth of which is not finite on the last one.
struct SpoiltRun {
  RankContext context = test::context(1);
  test::SharedFolder folder{context.world};
  std::vector<MetricsRow> rows;
  std::vector<at::Tensor> weights;  // live
  std::unique_ptr<TrainingRun> run;

  SpoiltRun(const std::string& policy, Where where, int times) {
    if (context.is_chief()) make_folder(folder.path() + "/checkpoints");
    context.world.barrier("folder of the checkpoints");
    Recipe recipe = test::small_recipe(folder.path());
    recipe.train.on_nonfinite = policy;
    recipe.checkpoint.every_steps = 2;
    recipe.log.every_steps = 1;
    TrainingParts parts = test::small_parts(recipe, context, /*micro_batch_size=*/2);
    parts.not_finite = not_finite_policy(policy, context.log);
    if (where == Where::kLoss)
      parts.losses.push_back(std::make_unique<SpoiltLoss>(context, times));
    else
      parts.transforms.push_back(std::make_unique<FaultyRank>(times));
    for (const Parameter& p : *parts.parameters) weights.push_back(p.tensor);
    run = std::make_unique<TrainingRun>(recipe, context, TrainingRun::Options{}, std::move(parts));
    run->add_sink(std::make_unique<test::Rows>(rows));
  }
  int go() {
    StopSignal stop;
    return run->run(stop);
  }
  Json notes() const {
    return Json::parse(read_file(folder.path() + "/checkpoints/latest/manifest.json"))["training"];
  }
  /// The weights of the chief are those of every rank, and numbers.
  void expect_same_weights() const {
    for (std::size_t i = 0; i < weights.size(); ++i) {
      at::Tensor chiefs = weights[i].clone();
      context.world.broadcast(chiefs, 0, "weights");
      EXPECT_TRUE(at::equal(chiefs, weights[i])) << i;
      EXPECT_TRUE(at::isfinite(chiefs).all().item<bool>()) << i;
    }
  }
};

std::string refusal_of(SpoiltRun& run) {
  try {
    run.go();
    return "";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kRecipe);
    return error.what();
  }
}

TEST(NotFinite, SkipsTheStepOnAllRanks) {
  for (const Where where : {Where::kLoss, Where::kOneRank}) {
    SpoiltRun run("skip", where, 1);
    EXPECT_EQ(run.go(), 0);
    run.expect_same_weights();
    ASSERT_EQ(run.rows.size(), 6U);
    EXPECT_EQ(*run.rows[3].find("skipped"), 1);
    EXPECT_EQ(run.rows[4].find("skipped"), nullptr);
    EXPECT_EQ(*run.rows[5].find("tokens"), 6 * 48);  // the step counts
  }
}

TEST(NotFinite, GoesBackOnAllRanksAndLeavesTheBatchesOut) {
  for (const Where where : {Where::kLoss, Where::kOneRank}) {
    SpoiltRun run("rewind", where, 1);
    EXPECT_EQ(run.go(), 0);
    run.expect_same_weights();
    EXPECT_EQ(run.run->step(), 6);
    EXPECT_EQ(run.notes().at("left_out"), Json::array({4}));
  }
}

TEST(NotFinite, StopsOnAllRanksAtOnceOrAtTheSecondTime) {
  SpoiltRun stop("stop", Where::kLoss, 1);
  const std::string at_once = refusal_of(stop);
  EXPECT_NE(at_once.find("step 4: not finite:"), std::string::npos) << at_once;
  for (const Where where : {Where::kLoss, Where::kOneRank}) {
    SpoiltRun rewind("rewind", where, 2);
    const std::string again = refusal_of(rewind);
    EXPECT_NE(again.find("second time"), std::string::npos) << again;
    EXPECT_EQ(rewind.notes().at("step"), 2);  // nothing that is not finite was saved
  }
}

}  // namespace
}  // namespace moesaic
