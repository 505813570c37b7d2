#include "engine/training_run.h"

#include <ATen/ops/equal.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <limits>

#include "core/error.h"
#include "core/fs.h"
#include "observe/temp_folder.h"
#include "support/tiny_parts.h"

namespace moesaic {
namespace {

using test::Rows;
using testing::TempFolder;

/// A part with a tensor and a note of its own: how many steps it has seen.
class Counter : public StepPart {
 public:
  void after(const RankContext&, const Step&) override {
    seen_.add_(1);
    ++steps;
  }
  void before_save(const RankContext&, const LiveState& live) override {
    EXPECT_FALSE(live.entries.empty());
    ++saves_begun;
  }
  void after_save(const RankContext&, const LiveState& live) override {
    EXPECT_EQ(saves_begun, ++saves_done);
    live.before_change();
  }
  StateDict state() const override {
    return {{.name = "counter/seen", .tensor = seen_, .global_shape = {2}}};
  }
  void add_notes(Json& training) const override { training["counter"] = steps; }
  void restore(const RankContext&, const Json& training, const LiveState&) override {
    steps = training.at("counter").get<std::int64_t>();
  }
  void report(MetricsRow& row) const override { row.set("counted", static_cast<double>(steps)); }

  std::int64_t steps = 0, saves_begun = 0, saves_done = 0;
  at::Tensor seen() const { return seen_; }

 private:
  at::Tensor seen_ = at::zeros({2}, at::kDouble);
};

/// Makes a step not finite, so many times.
class Spoiler : public GradientTransform {
 public:
  Spoiler(std::int64_t step, int times) : step_(step), times_(times) {}
  std::string name() const override { return "spoiler"; }
  void apply(const RankContext&, const Step& step, Gradients&, MetricsRow& report) override {
    const bool now = step.number == step_ && times_-- > 0;
    report.set("spoilt", now ? std::numeric_limits<double>::quiet_NaN() : 0.0);
  }

 private:
  std::int64_t step_;
  int times_;
};

struct Spoilt {
  std::int64_t step = 0;
  int times = 0;
};

struct OneRun {
  RankContext context = RankContext::single();
  Counter* counter = nullptr;
  std::vector<MetricsRow> rows;
  std::unique_ptr<TrainingRun> run;
  std::vector<at::Tensor> weights;

  OneRun(const Recipe& recipe, const std::string& resume = "", const Json& data = {},
         bool allow_changed_data = false, const Spoilt& spoilt = {}) {
    TrainingParts parts = test::small_parts(recipe, context);
    parts.not_finite = not_finite_policy(recipe.train.on_nonfinite, context.log);
    if (spoilt.times > 0)
      parts.transforms.push_back(std::make_unique<Spoiler>(spoilt.step, spoilt.times));
    parts.data = data;
    auto part = std::make_unique<Counter>();
    counter = part.get();
    parts.around.push_back(std::move(part));
    for (const Parameter& p : *parts.parameters) weights.push_back(p.tensor);  // live
    run = std::make_unique<TrainingRun>(
        recipe, context, TrainingRun::Options{resume, allow_changed_data}, std::move(parts));
    run->add_sink(std::make_unique<Rows>(rows));
  }
  int go() {
    StopSignal stop;
    return run->run(stop);
  }
};

Json latest_notes(const TempFolder& folder) {
  return Json::parse(read_file(folder.path() + "/checkpoints/latest/manifest.json"))["training"];
}

Recipe recipe_in(const TempFolder& folder, std::int64_t steps) {
  Recipe recipe = test::small_recipe(folder.path());
  recipe.train.max_steps = steps;
  recipe.checkpoint.every_steps = 2;
  recipe.log.every_steps = 1;
  make_folder(folder.path() + "/checkpoints");
  return recipe;
}

TEST(TrainingRun, GoesOnFromACheckpointToTheSameBitsWithTheStateOfItsParts) {
  const TempFolder whole_folder, parts_folder;
  OneRun whole(recipe_in(whole_folder, 6));
  EXPECT_EQ(whole.go(), 0);
  OneRun first(recipe_in(parts_folder, 4));
  EXPECT_EQ(first.go(), 0);
  OneRun second(recipe_in(parts_folder, 6), "auto");
  EXPECT_EQ(second.run->step(), 4);
  EXPECT_EQ(second.counter->steps, 4);
  EXPECT_EQ(second.counter->seen()[1].item<double>(), 4);
  EXPECT_EQ(second.go(), 0);
  EXPECT_EQ(second.counter->steps, 6);
  for (std::size_t i = 0; i < whole.weights.size(); ++i)
    EXPECT_TRUE(at::equal(whole.weights[i], second.weights[i])) << i;
  EXPECT_EQ(whole.counter->saves_done, 3);
}

TEST(TrainingRun, WritesARowForEachLoggedStepWithWhatItsPartsReport) {
  const TempFolder folder;
  OneRun run(recipe_in(folder, 3));
  run.go();
  ASSERT_EQ(run.rows.size(), 3U);
  std::vector<std::string> names;
  for (const auto& [name, value] : run.rows[2].values) names.push_back(name);
  const std::vector<std::string> first = {"tokens",        "loss",        "loss_balance",
                                          "loss_router_z", "loss_total",  "learning_rate",
                                          "grad_norm",     "clip_factor", "max_violation"};
  ASSERT_GE(names.size(), first.size());
  EXPECT_EQ(std::vector<std::string>(names.begin(), names.begin() + std::ssize(first)), first);
  EXPECT_EQ(*run.rows[2].find("tokens"), 3 * 48);
  EXPECT_EQ(*run.rows[1].find("counted"), 2);
  EXPECT_LT(*run.rows[2].find("loss"), *run.rows[0].find("loss"));
}

TEST(TrainingRun, SkipsAStepThatIsNotFiniteAndSaysSo) {
  const TempFolder folder;
  Recipe recipe = recipe_in(folder, 4);
  recipe.train.on_nonfinite = "skip";
  recipe.log.every_steps = 4;
  OneRun run(recipe, "", {}, false, {.step = 3, .times = 1});
  EXPECT_EQ(run.go(), 0);
  ASSERT_EQ(run.rows.size(), 1U);
  EXPECT_EQ(*run.rows[0].find("skipped"), 1);
  EXPECT_EQ(*run.rows[0].find("tokens"), 4 * 48);  // the step counts
  EXPECT_EQ(run.counter->steps, 3);
}

TEST(TrainingRun, DoesNotSkipWithWeightsThatAreNotFinite) {
  const TempFolder folder;
  Recipe recipe = recipe_in(folder, 4);
  recipe.train.on_nonfinite = "skip";
  OneRun run(recipe);
  run.weights[0].fill_(std::numeric_limits<double>::infinity());
  EXPECT_THROW(run.go(), Error);
  EXPECT_FALSE(std::filesystem::exists(folder.path() + "/checkpoints/latest"));
}

TEST(TrainingRun, GoesBackToTheLastCheckpointAndPastTheBatchesOfAStep) {
  const TempFolder folder, other_folder;
  Recipe recipe = recipe_in(folder, 6), other_recipe = recipe_in(other_folder, 6);
  recipe.train.on_nonfinite = other_recipe.train.on_nonfinite = "rewind";
  OneRun run(recipe, "", {}, false, {.step = 4, .times = 1});
  EXPECT_EQ(run.go(), 0);
  EXPECT_EQ(run.counter->steps, 6);
  EXPECT_EQ(*run.rows.back().find("tokens"), 6 * 48);
  EXPECT_EQ(latest_notes(folder).at("left_out"), Json::array({4}));
  // A resumed run leaves them out, too.
  other_recipe.train.max_steps = 4;
  OneRun cut(other_recipe, "", {}, false, {.step = 4, .times = 1});
  EXPECT_EQ(cut.go(), 0);
  other_recipe.train.max_steps = 6;
  other_recipe.train.on_nonfinite = "stop";
  OneRun rest(other_recipe, "auto");
  EXPECT_EQ(rest.go(), 0);
  for (std::size_t i = 0; i < run.weights.size(); ++i)
    EXPECT_TRUE(at::equal(run.weights[i], rest.weights[i])) << i;
}

TEST(TrainingRun, StopsWhereAStepIsNotFiniteTwiceOrThereIsNoWayBack) {
  for (const Spoilt& spoilt : {Spoilt{4, 2}, Spoilt{1, 1}}) {
    const TempFolder folder;
    Recipe recipe = recipe_in(folder, 6);
    recipe.train.on_nonfinite = "rewind";
    OneRun run(recipe, "", {}, false, spoilt);
    try {
      run.go();
      ADD_FAILURE() << "the run went on";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kRecipe);
      const std::string what = error.what();
      EXPECT_NE(what.find(spoilt.times == 2 ? "second time" : "no checkpoint yet"),
                std::string::npos)
          << what;
    }
  }
}

/// A loss that nothing learns from: 1, and 5 in step 20.
class PlantedLoss : public LossTerm {
 public:
  const char* name() const override { return "planted"; }
  TermValue evaluate(const StepView& view) override {
    const double whole = view.context.step == 20 ? 5 : 1;
    return {view.output.hidden_TD.sum().mul(0.0), whole / 2};  // of two micro-batches
  }
};

/// The steps whose rows have "loss_spikes".
std::vector<std::int64_t> spikes_of(const Recipe& recipe, const std::string& resume) {
  const RankContext context = RankContext::single();
  TrainingParts parts = test::small_parts(recipe, context);
  parts.losses.insert(parts.losses.begin(), std::make_unique<PlantedLoss>());
  TrainingRun run(recipe, context, TrainingRun::Options{resume, false}, std::move(parts));
  std::vector<MetricsRow> rows;
  run.add_sink(std::make_unique<Rows>(rows));
  StopSignal stop;
  EXPECT_EQ(run.run(stop), 0);
  std::vector<std::int64_t> steps;
  for (const MetricsRow& row : rows)
    if (row.find("loss_spikes") != nullptr) steps.push_back(row.step);
  return steps;
}

TEST(TrainingRun, FlagsALossThatStandsOutAlsoAfterAResume) {
  const TempFolder folder;
  EXPECT_TRUE(spikes_of(recipe_in(folder, 18), "").empty());
  EXPECT_EQ(latest_notes(folder).at("loss_spikes").at("recent").size(), 18U);
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(spikes_of(recipe_in(folder, 22), "auto"), std::vector<std::int64_t>{20});
  const std::string said = ::testing::internal::GetCapturedStderr();
  EXPECT_NE(said.find("step 20: loss 5.0000 stands out"), std::string::npos) << said;
}

TEST(TrainingRun, SaysNothingOfLossesThatArePrivate) {
  const TempFolder folder;
  Recipe recipe = recipe_in(folder, 20);
  recipe.privacy.emplace();
  EXPECT_TRUE(spikes_of(recipe, "").empty());
  EXPECT_FALSE(latest_notes(folder).contains("loss_spikes"));
}

TEST(TrainingRun, SaysThatItIsFinishedWhenNoStepIsLeft) {
  const TempFolder folder;
  ::testing::internal::CaptureStderr();
  OneRun(recipe_in(folder, 4)).go();
  EXPECT_EQ(::testing::internal::GetCapturedStderr().find("the run is finished"),
            std::string::npos);
  for (const std::int64_t steps : {4, 3}) {
    ::testing::internal::CaptureStderr();
    OneRun again(recipe_in(folder, steps), "auto");
    EXPECT_EQ(again.go(), 0);
    EXPECT_TRUE(again.rows.empty());
    const std::string said = ::testing::internal::GetCapturedStderr();
    EXPECT_NE(said.find(format("the run is finished: step 4 of {}", steps)), std::string::npos)
        << said;
  }
}

TEST(TrainingRun, RefusesDataThatHaveChangedUnlessAllowed) {
  const auto data = [](const char* digest) {
    return Json{{"train", Json::array({{{"path", "a.txt"}, {"digest", digest}}})}};
  };
  const TempFolder folder;
  OneRun(recipe_in(folder, 2), "", data("1")).go();
  EXPECT_EQ(OneRun(recipe_in(folder, 4), "auto", data("1")).run->step(), 2);
  try {
    OneRun(recipe_in(folder, 4), "auto", data("2"));
    FAIL() << "nothing was refused";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kData);
    EXPECT_NE(std::string(error.what()).find("data.train[0]: a.txt"), std::string::npos);
    EXPECT_NE(error.hint().find("--allow-changed-data"), std::string::npos);
  }
  EXPECT_EQ(OneRun(recipe_in(folder, 4), "auto", data("2"), true).run->step(), 2);
  const TempFolder former;  // whose checkpoints say nothing of the data
  OneRun(recipe_in(former, 2)).go();
  EXPECT_EQ(OneRun(recipe_in(former, 4), "auto", data("2")).run->step(), 2);
}

TEST(TrainingRun, RefusesACheckpointOfWeightsAlone) {
  const TempFolder folder;
  const Recipe recipe = recipe_in(folder, 2);
  OneRun run(recipe);
  run.go();
  const std::string manifest = folder.path() + "/checkpoints/latest/manifest.json";
  ASSERT_TRUE(std::filesystem::exists(manifest));
  EXPECT_THROW(OneRun(recipe, folder.path() + "/nothing"), Error);
}

}  // namespace
}  // namespace moesaic
