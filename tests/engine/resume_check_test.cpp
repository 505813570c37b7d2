#include "engine/resume_check.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "support/tiny_parts.h"

namespace moesaic {
namespace {

TEST(ResumeCheck, LetsTheLayoutAndTheLengthOfARunChange) {
  const Recipe saved = test::small_recipe("a");
  Recipe now = saved;
  now.run_dir = "b";
  now.train.max_steps = 100;
  now.train.max_steps.reset();
  now.train.epochs = 3;
  now.train.checkpoint_activations = true;
  now.train.on_nonfinite = "skip";
  now.train.restarts = 3;
  now.train.restart_window_s = 60;
  now.parallel.shard_optimizer = true;
  now.parallel.ranks = 4;
  now.parallel.expert = 2;
  now.moe.placement = "balanced";
  now.moe.diagnose_every = 5;
  now.log.every_steps = 1;
  now.eval.every_steps = 7;
  now.checkpoint.keep = 9;
  EXPECT_NO_THROW(check_resumable(saved, now, "step-2"));
}

TEST(ResumeCheck, NamesEveryOtherKeyThatDiffersWithBothValues) {
  const Recipe saved = test::small_recipe("a");
  Recipe now = saved;
  now.seed = 9;
  now.optimizer.learning_rate = 0.5;
  now.data.train[0].weight = 2;
  try {
    check_resumable(saved, now, "runs/x/step-2");
    FAIL() << "nothing was refused";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kRecipe);
    const std::string what = error.what();
    for (const char* part : {"runs/x/step-2", "seed: saved with 1234, now 9",
                             "optimizer.learning_rate: saved with", "data.train"})
      EXPECT_NE(what.find(part), std::string::npos) << part << " is not in: " << what;
    EXPECT_EQ(what.find("train.max_steps"), std::string::npos) << what;
  }
}

TEST(ChangedData, NamesTheSourcesAndTheirFiles) {
  const Json saved = {
      {"train",
       {{{"path", "a-*.txt"}, {"digest", "1"}, {"files", {{"a-1.txt", "x"}, {"a-2.txt", "y"}}}},
        {{"path", "b.tokens"}, {"digest", "2"}}}},
      {"valid", {{{"path", "v.txt"}, {"digest", "3"}, {"files", {{"v.txt", "z"}}}}}}};
  EXPECT_EQ(changed_data(saved, saved), "");
  EXPECT_EQ(changed_data(Json(), saved), "");  // a checkpoint of a former version
  Json now = saved;
  now["train"][0]["digest"] = "7";
  now["train"][0]["files"] = {{"a-2.txt", "changed"}, {"a-3.txt", "new"}};
  EXPECT_EQ(changed_data(saved, now),
            "\n  data.train[0]: a-*.txt (a-2.txt has changed, a-3.txt is new, a-1.txt is gone)");
  now = saved;
  now["train"][1]["digest"] = "7";
  now["valid"][0]["digest"] = "8";
  EXPECT_EQ(changed_data(saved, now), "\n  data.train[1]: b.tokens\n  data.valid[0]: v.txt");
  // Other files that give the same ids are the same data.
  now = saved;
  now["train"][0]["files"]["a-1.txt"] = "w";
  EXPECT_EQ(changed_data(saved, now), "");
}

TEST(ChangedData, OfADamagedDescriptionIsNoCrash) {
  const Json now = {{"train", {{{"path", "a"}, {"digest", "1"}, {"files", {{"a", "x"}}}}}}};
  for (const char* text : {"[]", "5", R"({"train": 5})", R"({"train": [5, []]})",
                           R"({"train": [{"digest": {}, "files": [1]}]})"})
    EXPECT_NO_THROW(changed_data(Json::parse(text), now)) << text;
}

}  // namespace
}  // namespace moesaic
