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
  now.train.checkpoint_activations = true;
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

}  // namespace
}  // namespace moesaic
