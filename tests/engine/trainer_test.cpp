#include "engine/trainer.h"

#include <ATen/ops/allclose.h>
#include <ATen/ops/equal.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/error.h"
#include "support/tiny_parts.h"

namespace moesaic {
namespace {

using Words = std::vector<std::string>;

/// Writes down the moments of a step.
class Diary : public StepPart {
 public:
  explicit Diary(Words& words) : words_(words) {}
  void before(const Step& step) override { note(format("before {}", step.number)); }
  void before_forward(ForwardContext& context) override {
    EXPECT_TRUE(context.training);
    note("before forward");
  }
  void after_forward(const ModelOutput& output) override {
    EXPECT_TRUE(output.hidden_TD.defined());
    note("after forward");
  }
  void gradient_done(const RankContext&, const Step&) override { note("gradient"); }
  void after(const RankContext&, const Step&) override { note("after"); }

 private:
  void note(const std::string& word) { words_.push_back(word); }
  Words& words_;
};

class DiaryTransform : public GradientTransform {
 public:
  explicit DiaryTransform(Words& words) : words_(words) {}
  std::string name() const override { return "diary"; }
  void apply(const RankContext&, const Step& step, Gradients&, MetricsRow& report) override {
    words_.push_back("transform");
    report.set("diary", static_cast<double>(step.number));
  }

 private:
  Words& words_;
};

struct Small {
  RankContext context = RankContext::single();
  TrainingParts parts;
  explicit Small(std::int64_t micro_batch_size = 4)
      : parts(test::small_parts(test::small_recipe("unused"), context, micro_batch_size)) {}
};

TEST(Trainer, GoesThroughTheMomentsOfAStepInOrder) {
  Small small;
  Words words;
  small.parts.around.push_back(std::make_unique<Diary>(words));
  small.parts.transforms.push_back(std::make_unique<DiaryTransform>(words));
  Trainer trainer(small.context, small.parts);
  const StepReport report = trainer.step(3, {});
  EXPECT_EQ(words, (Words{"before 3", "before forward", "after forward", "before forward",
                          "after forward", "gradient", "transform", "after"}));
  EXPECT_EQ(report.step.size.target_tokens, 48);
  ASSERT_NE(report.transforms.find("grad_norm"), nullptr);
  EXPECT_EQ(*report.transforms.find("diary"), 3);
  EXPECT_EQ(report.losses.at(0).first, "loss");
  EXPECT_FALSE(report.skipped);
}

// How the step's sequences are cut into micro-batches changes nothing of its mathematics.
TEST(Trainer, StepsAlikeWhateverTheMicroBatches) {
  Small whole(8), cut(2);
  Trainer one(whole.context, whole.parts), four(cut.context, cut.parts);
  for (std::int64_t step = 1; step <= 3; ++step) {
    const StepReport a = one.step(step, {}), b = four.step(step, {});
    EXPECT_NEAR(a.loss_total, b.loss_total, 1e-12 * std::abs(a.loss_total));
    EXPECT_NEAR(*a.transforms.find("grad_norm"), *b.transforms.find("grad_norm"), 1e-9);
  }
  const auto a = test::weights_of(whole.parts), b = test::weights_of(cut.parts);
  for (std::size_t i = 0; i < a.size(); ++i) EXPECT_TRUE(at::allclose(a[i], b[i], 1e-9, 1e-12));
}

TEST(Trainer, MovesCorrectionBiasesAfterTheStepAndNotByTheOptimizer) {
  Small small;
  Trainer trainer(small.context, small.parts);
  trainer.step(1, {});
  for (const Parameter& p : *small.parts.parameters) {
    if (!p.correction_bias) continue;
    EXPECT_NEAR(p.tensor.abs().max().item<double>(), 0.001, 1e-12);
  }
}

// One weight that is not finite makes the loss so.
void spoil(const TrainingParts& parts) {
  const Parameter* norm = parts.parameters->find("model.norm.weight");
  norm->tensor[0].fill_(std::numeric_limits<double>::quiet_NaN());
}

TEST(Trainer, StopsBeforeTheOptimizerWhereTheLossIsNotFinite) {
  Small small;
  spoil(small.parts);
  const auto before = test::weights_of(small.parts);
  Trainer trainer(small.context, small.parts);
  try {
    trainer.step(7, {});
    FAIL() << "the step went on";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kRecipe);
    const std::string what = error.what();
    EXPECT_NE(what.find("step 7: not finite: loss = "), std::string::npos) << what;
    EXPECT_NE(what.find(" grad_norm = "), std::string::npos) << what;
  }
  const auto after = test::weights_of(small.parts);
  for (std::size_t i = 1; i < after.size(); ++i)
    EXPECT_TRUE(at::allclose(after[i], before[i], 0, 0, /*equal_nan=*/true));
}

class SkipAll : public NotFinitePolicy {
 public:
  explicit SkipAll(Words& words) : words_(words) {}
  AfterNotFinite meet(const Step& step, const std::string& values) override {
    words_.push_back(format("{}:{}", step.number, values.substr(0, 7)));
    return AfterNotFinite::kSkip;
  }

 private:
  Words& words_;
};

TEST(Trainer, AsksThePolicyAndDropsTheGradientOfAStepThatIsNotFinite) {
  Small small, other;
  Words words;
  small.parts.not_finite = std::make_unique<SkipAll>(words);
  const Parameter* norm = small.parts.parameters->find("model.norm.weight");
  const double good = norm->tensor[0].item<double>();
  Trainer trainer(small.context, small.parts), untouched(other.context, other.parts);
  spoil(small.parts);
  EXPECT_TRUE(trainer.step(1, {}).skipped);
  EXPECT_EQ(words, Words{"1: loss ="});
  norm->tensor[0].fill_(good);
  // The step that follows is as if the other had not been.
  EXPECT_FALSE(trainer.step(2, {}).skipped);
  untouched.step(2, {});
  const auto a = test::weights_of(small.parts), b = test::weights_of(other.parts);
  for (std::size_t i = 0; i < a.size(); ++i) EXPECT_TRUE(at::equal(a[i], b[i])) << i;
}

TEST(Trainer, SaysWhenItWasAskedToStop) {
  Small small;
  Trainer trainer(small.context, small.parts);
  EXPECT_FALSE(trainer.step(1, {}).stop);
  EXPECT_TRUE(trainer.step(2, {.stop = true}).stop);
}

}  // namespace
}  // namespace moesaic
