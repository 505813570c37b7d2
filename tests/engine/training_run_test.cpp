#include "engine/training_run.h"

#include <ATen/ops/equal.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/fs.h"
#include "observe/temp_folder.h"
#include "support/tiny_parts.h"

namespace moesaic {
namespace {

using testing::TempFolder;

/// Keeps the rows that a run writes.
class Rows : public MetricsSink {
 public:
  explicit Rows(std::vector<MetricsRow>& rows) : rows_(rows) {}
  void write(const MetricsRow& row) override { rows_.push_back(row); }

 private:
  std::vector<MetricsRow>& rows_;
};

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

struct OneRun {
  RankContext context = RankContext::single();
  Counter* counter = nullptr;
  std::vector<MetricsRow> rows;
  std::unique_ptr<TrainingRun> run;
  std::vector<at::Tensor> weights;

  OneRun(const Recipe& recipe, const std::string& resume = "", const Json& data = {},
         bool allow_changed_data = false) {
    TrainingParts parts = test::small_parts(recipe, context);
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
