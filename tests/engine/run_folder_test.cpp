#include "engine/run_folder.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "config/recipe_reader.h"
#include "core/error.h"
#include "core/fs.h"
#include "observe/temp_folder.h"
#include "store/manifest.h"
#include "support/tiny_parts.h"

namespace moesaic {
namespace {

namespace fs = std::filesystem;
using Mode = RunFolder::Mode;
using testing::TempFolder;

constexpr const char* kOfARun[] = {"metrics.jsonl",
                                   "routing.png",
                                   "trace-3.json",
                                   "logs/rank-0.log",
                                   "logs/rank-11.saver.state",
                                   "logs/error.rank-1.json",
                                   "logs/stacks-1.txt",
                                   "restarts.jsonl",
                                   "tensorboard/events.out.tfevents.1700000000.000123.node.7",
                                   "checkpoints/step-00000001/model.h5",
                                   "checkpoints/step-00000001/manifest.json",
                                   "checkpoints/step-00000001/hub/tokenizer.json",
                                   "checkpoints/step-00000002.tmp/state.h5"};
constexpr const char* kOfOthers[] = {"thesis.tex",
                                     "traces.json",
                                     "trace-notes.json",
                                     "cache/a.tokens",
                                     "logs/important.txt",
                                     "logs/rank-notes.log",
                                     "checkpoints/other.pt",
                                     "checkpoints/step-1/model.h5",
                                     "checkpoints/step-00000001/notes.txt",
                                     "tensorboard/events.out.tfevents.1700000000.node.7.0"};

void put(const std::string& path, const std::string& text = "x") {
  make_folder(fs::path(path).parent_path().string());
  write_file_atomic(path, text);
}

/// What a run leaves.
void fill(const std::string& path) {
  for (const char* file : kOfARun) put(path + "/" + file);
  fs::create_symlink("step-00000001", path + "/checkpoints/latest");
  write_run_recipe(test::small_recipe(path));
}

bool has(const std::string& path, const std::string& name) {
  return fs::exists(fs::path(path) / name);
}

std::string refusal(const std::string& path, Mode mode,
                    const std::vector<std::string>& inputs = {}) {
  try {
    const RunFolder folder(path, mode, inputs);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    return std::string(error.what()) + " | " + error.hint();
  }
  return "";
}

TEST(RunFolder, IsMadeForAFreshRunAndRefusedWhereThereIsOne) {
  const TempFolder folder;
  const std::string path = folder.file("runs/new");
  { const RunFolder fresh(path, Mode::kFresh); }
  EXPECT_TRUE(fs::is_directory(logs_folder(path)));
  fill(path);
  EXPECT_NE(refusal(path, Mode::kFresh).find("already holds a run"), std::string::npos);
  EXPECT_TRUE(has(path, "metrics.jsonl"));  // nothing was touched
}

TEST(RunFolder, KeepsARunThatGoesOnButForOldErrors) {
  const TempFolder folder;
  fill(folder.path());
  const RunFolder resumed(folder.path(), Mode::kResume);
  EXPECT_TRUE(has(folder.path(), "metrics.jsonl"));
  EXPECT_TRUE(has(folder.path(), "checkpoints/step-00000001/model.h5"));
  EXPECT_TRUE(has(folder.path(), "logs/rank-0.log"));
  EXPECT_FALSE(has(folder.path(), "logs/error.rank-1.json"));
}

TEST(RunFolder, IsEmptiedOfARunThatIsOverwritten) {
  const TempFolder folder;
  fill(folder.path());
  put(folder.file("cache/a.tokens"));
  const RunFolder again(folder.path(), Mode::kOverwrite);
  for (const char* gone : {"recipe.yaml", "checkpoints", "tensorboard"})
    EXPECT_FALSE(has(folder.path(), gone)) << gone;
  for (const char* gone : kOfARun) EXPECT_FALSE(has(folder.path(), gone)) << gone;
  EXPECT_TRUE(has(folder.path(), "cache/a.tokens"));
}

TEST(RunFolder, KeepsWhatNoRunWrote) {
  const TempFolder folder;
  fill(folder.path());
  for (const char* file : kOfOthers) put(folder.file(file));
  const RunFolder again(folder.path(), Mode::kOverwrite);
  for (const char* kept : kOfOthers) EXPECT_TRUE(has(folder.path(), kept)) << kept;
  for (const char* gone : kOfARun) EXPECT_FALSE(has(folder.path(), gone)) << gone;
  EXPECT_FALSE(has(folder.path(), "checkpoints/latest"));
}

TEST(RunFolder, IsNotOneWithFilesThatARunWouldReplace) {
  for (const char* file : {"recipe.yaml", "metrics.jsonl", "routing.png"}) {
    for (const Mode mode : {Mode::kFresh, Mode::kResume, Mode::kOverwrite}) {
      const TempFolder folder;
      put(folder.file(file), "name: mine  # by hand\n");
      put(folder.file("checkpoints/step-00000001/model.h5"));
      const std::string error = refusal(folder.path(), mode, {folder.file("recipe.yaml")});
      EXPECT_NE(error.find(file), std::string::npos) << error;
      EXPECT_EQ(error.find("--overwrite"), std::string::npos) << error;
      EXPECT_EQ(read_file(folder.file(file)), "name: mine  # by hand\n");
      EXPECT_TRUE(has(folder.path(), "checkpoints/step-00000001/model.h5"));
      EXPECT_FALSE(has(folder.path(), ".lock"));
    }
  }
}

TEST(RunFolder, WithoutARunLosesNothing) {
  const TempFolder folder;
  put(folder.file("mine.yaml"));
  for (const char* file : kOfOthers) put(folder.file(file));
  put(folder.file("checkpoints/step-00000001/model.h5"));
  const RunFolder first(folder.path(), Mode::kOverwrite, {folder.file("mine.yaml")});
  EXPECT_TRUE(has(folder.path(), "checkpoints/step-00000001/model.h5"));
  for (const char* kept : kOfOthers) EXPECT_TRUE(has(folder.path(), kept)) << kept;
}

TEST(RunFolder, OfAnInputIsNotOverwritten) {
  for (const char* input : {"metrics.jsonl", "checkpoints/step-00000001/model.h5"}) {
    const TempFolder folder;
    fill(folder.path());
    fs::create_symlink(folder.path(), folder.file("link"));
    const std::string error =
        refusal(folder.path(), Mode::kOverwrite, {folder.file("link/") + input});
    EXPECT_NE(error.find(input), std::string::npos) << error;
    for (const char* kept : kOfARun) EXPECT_TRUE(has(folder.path(), kept)) << kept;
  }
}

TEST(RunFolder, KeepsTheRecipeThatTheRunIsRepeatedFrom) {
  const TempFolder folder;
  fill(folder.path());
  const RunFolder again(folder.path(), Mode::kOverwrite, {recipe_file(folder.path())});
  EXPECT_TRUE(has(folder.path(), "recipe.yaml"));  // until it is written anew
  EXPECT_FALSE(has(folder.path(), "metrics.jsonl"));
}

TEST(RunFolder, OfAFormerVersionIsKnown) {
  const TempFolder folder;
  fill(folder.path());
  const std::string complete = to_yaml(test::small_recipe(folder.path()));
  put(recipe_file(folder.path()), complete);
  EXPECT_TRUE(holds_run(folder.path()));
  // It had fewer keys.
  const std::size_t line = complete.find("\n  clip_norm");
  ASSERT_NE(line, std::string::npos);
  put(recipe_file(folder.path()),
      complete.substr(0, line) + complete.substr(complete.find('\n', line + 1)));
  EXPECT_TRUE(holds_run(folder.path()));
  put(recipe_file(folder.path()), "# by hand\n" + complete);
  EXPECT_FALSE(holds_run(folder.path()));
}

/// As a version left it whose recipes had other keys.
void fill_of_old(const std::string& path) {
  fill(path);
  put(path + "/checkpoints/step-00000001/manifest.json",
      seal_manifest({{"step", 1}, {"files", Json::object()}, {"datasets", Json::object()}}));
  put(path + "/cache/a.tokens");
  std::string recipe = to_yaml(test::small_recipe(path));
  const std::string now = "\n  clip_norm:";
  ASSERT_NE(recipe.find(now), std::string::npos);
  put(recipe_file(path), recipe.replace(recipe.find(now), now.size(), "\n  old_name_of_it:"));
}

TEST(RunFolder, OfOtherKeysIsKnownByAllThatARunLeaves) {
  const TempFolder folder;
  fill_of_old(folder.path());
  EXPECT_TRUE(holds_run(folder.path()));
  EXPECT_NE(refusal(folder.path(), Mode::kFresh).find("already holds a run"), std::string::npos);
  const RunFolder again(folder.path(), Mode::kOverwrite);
  for (const char* gone : kOfARun) EXPECT_FALSE(has(folder.path(), gone)) << gone;
  EXPECT_FALSE(has(folder.path(), "recipe.yaml"));
  EXPECT_TRUE(has(folder.path(), "cache/a.tokens"));
}

TEST(RunFolder, OfOtherKeysIsNotKnownWithAFileOfOthers) {
  for (const char* file : kOfOthers) {
    const TempFolder folder;
    fill_of_old(folder.path());
    put(folder.file(file));
    EXPECT_EQ(holds_run(folder.path()), std::string(file).starts_with("cache/")) << file;
  }
}

TEST(RunFolder, OfOtherKeysIsNotKnownWithoutAWholeRun) {
  for (const char* file : {"metrics.jsonl", "logs/rank-0.log", "checkpoints/step-00000001"}) {
    const TempFolder folder;
    fill_of_old(folder.path());
    fs::remove_all(folder.file(file));
    EXPECT_FALSE(holds_run(folder.path())) << file;
  }
  const TempFolder folder;
  fill_of_old(folder.path());
  put(folder.file("checkpoints/step-00000001/manifest.json"), "{}");
  EXPECT_FALSE(holds_run(folder.path()));
}

TEST(RunFolder, WithARecipeByHandIsNotOfAFormerVersion) {
  const TempFolder folder;
  fill_of_old(folder.path());
  const std::string recipe = read_file(recipe_file(folder.path()));
  put(recipe_file(folder.path()), "# by hand\n" + recipe);
  EXPECT_FALSE(holds_run(folder.path()));
  const std::size_t section = recipe.find("\nschedule:");
  ASSERT_NE(section, std::string::npos);
  put(recipe_file(folder.path()), recipe.substr(0, section + 1));
  EXPECT_FALSE(holds_run(folder.path()));
}

TEST(RunFolder, HasOneOwnerAtATime) {
  const TempFolder folder;
  {
    const RunFolder owner(folder.path(), Mode::kResume);
    EXPECT_NE(refusal(folder.path(), Mode::kResume).find("another job"), std::string::npos);
  }
  EXPECT_NO_THROW(RunFolder(folder.path(), Mode::kResume));
}

TEST(RunInputs, AreTheFilesThatARecipeReads) {
  const TempFolder folder;
  for (const char* file : {"a.txt", "b.txt", "valid.txt", "tok/tokenizer.json", "hub/config.json"})
    put(folder.file(file));
  Recipe recipe = test::small_recipe(folder.path());
  recipe.data.train = {{.path = folder.file("?.txt")}, {.path = folder.file("none-*")}};
  recipe.data.valid = {{.path = folder.file("valid.txt")}};
  recipe.tokenizer = folder.file("tok");
  recipe.model.from = folder.file("hub");
  EXPECT_EQ(inputs_of(recipe, "r.yaml"),
            (std::vector<std::string>{"r.yaml", folder.file("a.txt"), folder.file("b.txt"),
                                      folder.file("valid.txt"), folder.file("tok/tokenizer.json"),
                                      folder.file("hub/config.json")}));
}

}  // namespace
}  // namespace moesaic
