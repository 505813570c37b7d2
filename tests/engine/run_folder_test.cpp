#include "engine/run_folder.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "core/error.h"
#include "core/fs.h"
#include "observe/temp_folder.h"

namespace moesaic {
namespace {

namespace fs = std::filesystem;
using Mode = RunFolder::Mode;

/// What a run leaves.
void fill(const std::string& path) {
  for (const char* folder : {"checkpoints/step-00000001", "logs", "tensorboard", "cache"})
    fs::create_directories(fs::path(path) / folder);
  for (const char* file : {"recipe.yaml", "metrics.jsonl", "trace-3.json", "cache/a.tokens",
                           "logs/error.rank-1.json", "logs/rank-0.log"})
    write_file_atomic((fs::path(path) / file).string(), "x");
}

bool has(const std::string& path, const char* name) { return fs::exists(fs::path(path) / name); }

TEST(RunFolder, IsMadeForAFreshRunAndRefusedWhereThereIsOne) {
  const testing::TempFolder folder;
  const std::string path = folder.file("runs/new");
  { const RunFolder fresh(path, Mode::kFresh); }
  EXPECT_TRUE(fs::is_directory(logs_folder(path)));
  fill(path);
  EXPECT_THROW(RunFolder(path, Mode::kFresh), Error);
  EXPECT_TRUE(has(path, "metrics.jsonl"));  // nothing was touched
}

TEST(RunFolder, KeepsARunThatGoesOnButForOldErrors) {
  const testing::TempFolder folder;
  fill(folder.path());
  const RunFolder resumed(folder.path(), Mode::kResume);
  EXPECT_TRUE(has(folder.path(), "metrics.jsonl"));
  EXPECT_TRUE(has(folder.path(), "checkpoints/step-00000001"));
  EXPECT_TRUE(has(folder.path(), "logs/rank-0.log"));
  EXPECT_FALSE(has(folder.path(), "logs/error.rank-1.json"));
}

TEST(RunFolder, EmptiesARunThatIsOverwrittenButForTheTokens) {
  const testing::TempFolder folder;
  fill(folder.path());
  const RunFolder again(folder.path(), Mode::kOverwrite);
  for (const char* gone : {"recipe.yaml", "metrics.jsonl", "checkpoints", "tensorboard",
                           "trace-3.json", "logs/rank-0.log"})
    EXPECT_FALSE(has(folder.path(), gone)) << gone;
  EXPECT_TRUE(has(folder.path(), "cache/a.tokens"));
}

TEST(RunFolder, HasOneOwnerAtATime) {
  const testing::TempFolder folder;
  {
    const RunFolder owner(folder.path(), Mode::kResume);
    try {
      RunFolder(folder.path(), Mode::kResume);
      FAIL() << "two owners";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    }
  }
  EXPECT_NO_THROW(RunFolder(folder.path(), Mode::kResume));
}

}  // namespace
}  // namespace moesaic
