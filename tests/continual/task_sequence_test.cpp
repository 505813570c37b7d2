#include "continual/task_sequence.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <limits>

#include "core/error.h"
#include "core/fs.h"
#include "metrics/task_file.h"
#include "observe/temp_folder.h"

namespace moesaic {
namespace {

using testing::TempFolder;

class NoData : public StepData {
 public:
  StepSize size(std::int64_t) const override { return {}; }
  Batch micro_batch(std::int64_t, std::int64_t) const override { return empty_batch(); }
};

/// Writes down what it is told.
class Listener : public TaskEnd {
 public:
  explicit Listener(std::vector<std::string>& events) : events_(events) {}
  void task_ended(const RankContext&, const LearnedTask& task) override {
    EXPECT_EQ(task.recipe.name, "of " + task.name);
    events_.push_back(format("end {}/{} {}", task.index + 1, task.count, task.name));
  }

 private:
  std::vector<std::string>& events_;
};

/// Two steps of task a, one of task b, two of task c; the values count the evaluations.
struct Sequence {
  explicit Sequence(const std::string& run_dir)
      : context(RankContext::single()), listener(events), part(context, options(run_dir)) {}

  TaskSequence::Options options(const std::string& run_dir) {
    TaskSequence::Options options{.metric = "accuracy",
                                  .run_dir = run_dir,
                                  .steps = TaskSteps({2, 1, 2}),
                                  .ends = {&listener},
                                  .restart = [this] { events.push_back("restart"); },
                                  .settle = [this] { ++settled; }};
    for (const char* name : {"a", "b", "c"}) {
      Recipe recipe;
      recipe.name = std::string("of ") + name;
      options.tasks.push_back({.name = name, .recipe = recipe, .data = data, .evaluate = [this] {
                                 return static_cast<double>(evaluations++);
                               }});
    }
    return options;
  }
  /// Steps [first, last], as a run has them.
  void run(std::int64_t first, std::int64_t last) {
    for (std::int64_t number = first; number <= last; ++number) {
      part.before({.number = number});
      events.push_back(format("step {}", number));
      part.finished(context, {.number = number});
    }
  }
  Json notes(std::int64_t step) const {
    Json training = {{"step", step}};
    part.add_notes(training);
    return training;
  }

  RankContext context;
  NoData data;
  std::vector<std::string> events;
  int evaluations = 0, settled = 0;
  Listener listener;
  TaskSequence part;
};

using Rows = std::vector<std::vector<double>>;

TEST(TaskSequence, EvaluatesAllTasksBeforeTheFirstAndAfterEach) {
  const TempFolder folder;
  Sequence sequence(folder.path());
  sequence.run(1, 5);
  EXPECT_EQ(sequence.part.matrix().rows, (Rows{{0, 1, 2}, {3, 4, 5}, {6, 7, 8}, {9, 10, 11}}));
  EXPECT_EQ(sequence.events,
            (std::vector<std::string>{"step 1", "step 2", "end 1/3 a", "restart", "step 3",
                                      "end 2/3 b", "restart", "step 4", "step 5", "end 3/3 c"}));
  EXPECT_EQ(sequence.settled, 4);
}

TEST(TaskSequence, TheFilesHaveTheRowsSoFar) {
  const TempFolder folder;
  Sequence sequence(folder.path());
  sequence.run(1, 2);
  EXPECT_EQ(read_task_matrix(folder.path() + "/tasks.json").rows, (Rows{{0, 1, 2}, {3, 4, 5}}));
  EXPECT_TRUE(std::filesystem::exists(folder.path() + "/tasks.h5"));
  EXPECT_TRUE(std::filesystem::exists(folder.path() + "/tasks.png"));
  sequence.run(3, 5);
  EXPECT_TRUE(read_task_matrix(folder.path() + "/tasks.json").is_complete());
}

TEST(TaskSequence, ARowSaysWhichTaskIsUnderWay) {
  const TempFolder folder;
  Sequence sequence(folder.path());
  sequence.run(1, 3);
  MetricsRow row;
  sequence.part.report(row);
  ASSERT_NE(row.find("task"), nullptr);
  EXPECT_EQ(*row.find("task"), 2);
}

// After any step: what is saved there goes on to the same rows, none is lost and none comes twice.
TEST(TaskSequence, GoesOnFromAnyStep) {
  const TempFolder whole_folder;
  Sequence whole(whole_folder.path());
  whole.run(1, 5);
  for (std::int64_t stop = 1; stop < 5; ++stop) {
    const TempFolder folder;
    Sequence first(folder.path());
    first.run(1, stop);
    const Json notes = Json::parse(first.notes(stop).dump());
    first.run(stop + 1, 4);  // lost: the run is killed
    Sequence second(folder.path());
    second.evaluations = 3 * static_cast<int>(notes["tasks"].size());
    second.part.restore(second.context, notes, {});
    EXPECT_EQ(read_task_matrix(folder.path() + "/tasks.json").rows.size(), notes["tasks"].size());
    second.run(stop + 1, 5);
    EXPECT_EQ(second.part.matrix().rows, whole.part.matrix().rows) << stop;
  }
}

TEST(TaskSequence, AValueThatIsNoNumberComesBackAsOne) {
  const TempFolder folder;
  Sequence sequence(folder.path());
  sequence.run(1, 1);
  Json notes = sequence.notes(1);
  notes["tasks"][0][1] = std::numeric_limits<double>::quiet_NaN();
  sequence.part.restore(sequence.context, Json::parse(notes.dump()), {});
  EXPECT_TRUE(std::isnan(sequence.part.matrix().rows[0][1]));
}

TEST(TaskSequence, RefusesRowsThatAreNotThoseOfTheStep) {
  const TempFolder folder;
  Sequence sequence(folder.path());
  sequence.run(1, 2);
  const auto refused = [&](Json notes) {
    try {
      sequence.part.restore(sequence.context, notes, {});
      ADD_FAILURE() << notes.dump();
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kCheckpoint) << notes.dump();
    }
  };
  Json notes = sequence.notes(2);
  notes["step"] = 1;
  refused(notes);
  notes["step"] = 3;
  refused(notes);
  notes["step"] = "two";
  refused(notes);
  notes = sequence.notes(2);
  notes["tasks"] = 7;
  refused(notes);
  notes["tasks"] = {{1.0, 2.0}, {1.0, 2.0}};
  refused(notes);
  refused({{"step", 2}});
}

}  // namespace
}  // namespace moesaic
