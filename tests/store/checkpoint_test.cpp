#include "store/checkpoint.h"

#include <ATen/ops/arange.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <fstream>

#include "core/fs.h"
#include "store/manifest.h"
#include "support/sample_checkpoint.h"

namespace moesaic {
namespace {

namespace fs = std::filesystem;
using test::sample_content;
using test::SampleFolder;

class Checkpoint : public testing::Test {
 protected:
  std::string checkpoints() const { return folder_.file("checkpoints"); }
  CheckpointStore store(const std::string& dtype = "master", std::int64_t keep = 2) const {
    return CheckpointStore({.folder = checkpoints(), .keep = keep, .dtype = dtype});
  }
  void save(std::int64_t step) const { store().save(context_, step, sample_content(context_)); }
  std::string path(const std::string& name) const { return checkpoints() + "/" + name; }

  std::vector<std::string> names() const {
    std::vector<std::string> found;
    for (const auto& item : fs::directory_iterator(checkpoints()))
      found.push_back(item.path().filename().string());
    std::sort(found.begin(), found.end());
    return found;
  }

  void damage(const std::string& file, std::size_t place = 5000) const {
    std::string bytes = read_file(path(file));
    place %= bytes.size();
    bytes[place] = static_cast<char>(bytes[place] ^ 4);
    std::ofstream(path(file), std::ios::binary) << bytes;
  }

  template <class Work>
  static std::string error_of(const Work& work) {
    try {
      work();
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kCheckpoint);
      return error.what();
    }
    return "";
  }

  SampleFolder folder_;
  RankContext context_ = RankContext::single();
};

TEST_F(Checkpoint, CutsASliceThatIsTooLargeForAChunkAcrossItsRows) {
  CheckpointContent content;
  const std::vector<std::int64_t> shape = {1, 3, 4 << 20};  // 48 MiB; three rows are not halved
  content.model = {{.name = "experts",
                    .tensor = at::arange(3LL * (4 << 20), at::kFloat).view(shape),
                    .global_shape = shape,
                    .scope = Scope::kExpert}};
  const at::Tensor saved = content.model[0].tensor.clone();
  store().save(context_, 1, content);
  content.model[0].tensor.zero_();
  CheckpointStore::load(context_, *store().newest(context_), content);
  EXPECT_TRUE(at::equal(content.model[0].tensor, saved));
}

TEST_F(Checkpoint, GivesBackEveryTensorBitForBit) {
  save(100);
  CheckpointContent content = sample_content(context_);
  test::spoil(content);
  const auto info = store().newest(context_);
  ASSERT_TRUE(info);
  EXPECT_EQ(info->step, 100);
  EXPECT_EQ(info->manifest["training"]["tokens"], 6400);
  EXPECT_EQ(info->manifest["tokenizer"]["type"], "byte");
  EXPECT_EQ(info->manifest["parameters"], 9001 * 5 + 7 + 12 * 30 + 12 * 5 + 12 * 30);
  CheckpointStore::load(context_, *info, content);
  EXPECT_EQ(test::wrong_entry(content), "");
  EXPECT_EQ(names(), (std::vector<std::string>{"latest", "step-00000100"}));
}

TEST_F(Checkpoint, ThatIsTheBestHasALinkAndIsNeverPruned) {
  CheckpointContent content = sample_content(context_);
  for (std::int64_t step = 100; step <= 500; step += 100) {
    if (step == 200) content.best = 200;
    store().save(context_, step, content);
  }
  EXPECT_EQ(fs::read_symlink(path("best")), "step-00000200");
  EXPECT_EQ(names(), (std::vector<std::string>{"best", "latest", "step-00000200", "step-00000400",
                                               "step-00000500"}));
  content.best = 600;
  store().save(context_, 600, content);
  EXPECT_EQ(fs::read_symlink(path("best")), "step-00000600");
  EXPECT_EQ(names(),
            (std::vector<std::string>{"best", "latest", "step-00000500", "step-00000600"}));
  content.best = 300;  // which is gone
  store().save(context_, 700, content);
  EXPECT_EQ(fs::read_symlink(path("best")), "step-00000600");
}

TEST_F(Checkpoint, OfTheSameContentIsTheSameByteForByte) {
  save(100);
  const std::string model = read_file(path("step-00000100/model.h5"));
  save(200);
  EXPECT_EQ(model, read_file(path("step-00000200/model.h5")));
}

TEST_F(Checkpoint, WithoutStateLoadsTheWeightsAloneInAnotherFloatType) {
  save(100);
  const auto info = CheckpointStore::open(context_, folder_.path());
  CheckpointContent content;
  content.model = sample_content(context_).model;
  for (StateEntry& entry : content.model)
    entry.tensor = at::full(entry.tensor.sizes(), -1, at::kDouble);
  CheckpointStore::load(context_, info, content);
  const StateEntry& gate = content.model[3];  // bfloat16 in the file
  EXPECT_TRUE(at::equal(gate.tensor,
                        test::sample_tensor(gate.name, {12, 5}, at::kBFloat16).to(at::kDouble)));
  EXPECT_TRUE(at::equal(content.model[0].tensor,
                        test::sample_tensor(content.model[0].name, {9001, 5}, at::kDouble)));
}

TEST_F(Checkpoint, InBfloat16KeepsTheMastersExactly) {
  store("bfloat16").save(context_, 100, sample_content(context_));
  const auto info = CheckpointStore::open(context_, path("step-00000100"));
  EXPECT_TRUE(info.manifest["datasets"].contains("master/model.embed_tokens.weight"));
  EXPECT_FALSE(info.manifest["datasets"].contains(
      "master/model.layers.0.mlp.gate.weight"));  // no float master
  CheckpointContent content = sample_content(context_);
  test::spoil(content);
  CheckpointStore::load(context_, info, content);
  EXPECT_EQ(test::wrong_entry(content), "");
  CheckpointContent weights;
  weights.model = content.model;
  test::spoil(weights);
  CheckpointStore::load(context_, info, weights);
  EXPECT_EQ(test::wrong_entry(weights), "");
}

TEST_F(Checkpoint, OfAnotherArchitectureIsRefusedByNameAndShape) {
  save(100);
  const auto info = CheckpointStore::open(context_, folder_.path());
  CheckpointContent other = sample_content(context_);
  other.model[0] = test::dense_entry("model.embed_tokens.weight", {9001, 6});
  other.model[1] = test::dense_entry("model.final_norm.weight", {7}, at::kDouble);
  other.state[0] = test::dense_entry("exp_avg/model.embed_tokens.weight", {9001, 5}, at::kDouble);
  test::spoil(other);
  const std::string error = error_of([&] { CheckpointStore::load(context_, info, other); });
  EXPECT_NE(error.find("1 missing from the checkpoint: model.final_norm.weight"), std::string::npos)
      << error;
  EXPECT_NE(error.find("1 only in the checkpoint: model.norm.weight"), std::string::npos) << error;
  EXPECT_NE(error.find("model.embed_tokens.weight has shape [9001, 5] (here [9001, 6])"),
            std::string::npos)
      << error;
  EXPECT_NE(error.find("exp_avg/model.embed_tokens.weight is float32 (here float64)"),
            std::string::npos)
      << error;
  EXPECT_TRUE(at::equal(other.model[2].tensor,
                        at::full_like(other.model[2].tensor, -3)));  // nothing was changed
}

TEST_F(Checkpoint, KeepsTheNewestAndMovesLatest) {
  for (const std::int64_t step : {100, 200, 300}) save(step);
  EXPECT_EQ(names(), (std::vector<std::string>{"latest", "step-00000200", "step-00000300"}));
  EXPECT_EQ(fs::read_symlink(path("latest")), "step-00000300");
  EXPECT_EQ(CheckpointStore::open(context_, path("latest")).step, 300);
}

TEST_F(Checkpoint, ThatIsDamagedIsPassedOverButNotDeleted) {
  save(100);
  save(200);
  damage("step-00000200/model.h5");
  EXPECT_EQ(store().newest(context_)->step, 100);
  EXPECT_EQ(CheckpointStore::open(context_, folder_.path()).step, 100);
  const std::string error =
      error_of([&] { CheckpointStore::open(context_, path("step-00000200")); });
  EXPECT_NE(error.find("step-00000200/model.h5 is damaged"), std::string::npos) << error;
  damage("step-00000100/config.json");
  EXPECT_NE(error_of([&] { store().newest(context_); }).find("all 2 checkpoints"),
            std::string::npos);
  EXPECT_TRUE(fs::exists(path("step-00000200")) && fs::exists(path("step-00000100")));
}

TEST_F(Checkpoint, ThatIsDamagedDoesNotCountAsOneOfThoseKept) {
  save(100);
  save(200);
  fs::resize_file(path("step-00000200/model.h5"), 1000);
  store("master", 2).save(context_, 300, sample_content(context_));
  EXPECT_EQ(names(), (std::vector<std::string>{"latest", "step-00000100", "step-00000200",
                                               "step-00000300"}));
  store("master", 2).save(context_, 400, sample_content(context_));  // now 300 and 400 are newer
  EXPECT_EQ(names(), (std::vector<std::string>{"latest", "step-00000300", "step-00000400"}));
}

TEST_F(Checkpoint, SavedAfterGoingBackIsNewerThanOneWithMoreSteps) {
  for (const std::int64_t step : {100, 200}) save(step);
  save(150);
  EXPECT_EQ(store().newest(context_)->step, 150);
  EXPECT_EQ(names(), (std::vector<std::string>{"latest", "step-00000150", "step-00000200"}));
}

TEST_F(Checkpoint, OfTheSameStepIsReplaced) {
  save(100);
  damage("step-00000100/manifest.json", 10);
  save(100);
  EXPECT_EQ(store().newest(context_)->step, 100);
  EXPECT_EQ(names(), (std::vector<std::string>{"latest", "step-00000100"}));
}

TEST_F(Checkpoint, LeftoversOfACrashAreNoCheckpointsAndGoWithTheNextSave) {
  fs::create_directories(path("step-00000050.tmp"));
  std::ofstream(path("step-00000050.tmp/model.h5")) << "half";
  EXPECT_FALSE(store().newest(context_));
  save(100);
  EXPECT_EQ(names(), (std::vector<std::string>{"latest", "step-00000100"}));
}

TEST_F(Checkpoint, SaveThatFailsLeavesTheOlderOnesAndNothingElse) {
  save(100);
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit old{};
  getrlimit(RLIMIT_FSIZE, &old);
  const rlimit small{100'000, old.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  const std::string error = error_of([&] { save(200); });
  setrlimit(RLIMIT_FSIZE, &old);
  EXPECT_NE(error.find("step-00000200.tmp/model.h5"), std::string::npos) << error;
  EXPECT_EQ(names(), (std::vector<std::string>{"latest", "step-00000100"}));
  EXPECT_EQ(store().newest(context_)->step, 100);
  save(200);  // and the process can go on
  EXPECT_EQ(store().newest(context_)->step, 200);
}

TEST_F(Checkpoint, InAPlaceThatCannotBeAFolderIsAnError) {
  std::ofstream(folder_.file("checkpoints")) << "a file";
  EXPECT_NE(error_of([&] { save(100); }).find(checkpoints()), std::string::npos);
}

TEST_F(Checkpoint, OpenSaysWhatIsMissing) {
  EXPECT_NE(error_of([&] {
              CheckpointStore::open(context_, folder_.file("nowhere"));
            }).find("no such folder"),
            std::string::npos);
  EXPECT_NE(
      error_of([&] { CheckpointStore::open(context_, folder_.path()); }).find("no manifest.json"),
      std::string::npos);
  fs::create_directories(checkpoints());
  EXPECT_NE(
      error_of([&] { CheckpointStore::open(context_, folder_.path()); }).find("no checkpoint in"),
      std::string::npos);
}

// As a run is that was copied with its links followed.
TEST_F(Checkpoint, IsSavedAndFoundWhereLatestIsAFolder) {
  save(100);
  fs::remove(path("latest"));
  fs::copy(path("step-00000100"), path("latest"), fs::copy_options::recursive);
  EXPECT_EQ(store().newest(context_)->path, path("step-00000100"));
  save(200);
  EXPECT_EQ(names(), (std::vector<std::string>{"latest", "latest.copy-1", "step-00000100",
                                               "step-00000200"}));
  EXPECT_EQ(fs::read_symlink(path("latest")), "step-00000200");
  EXPECT_EQ(CheckpointStore::open(context_, path("latest.copy-1")).step, 100);
}

TEST_F(Checkpoint, IsFoundAndKeptWhereThereIsOnlyAFolderLatest) {
  save(100);
  fs::remove(path("latest"));
  fs::rename(path("step-00000100"), path("latest"));
  EXPECT_EQ(store().newest(context_)->step, 100);
  save(200);
  EXPECT_EQ(names(), (std::vector<std::string>{"latest", "step-00000100", "step-00000200"}));
  EXPECT_EQ(CheckpointStore::open(context_, path("step-00000100")).step, 100);
}

TEST_F(Checkpoint, MovesAsideWhatElseIsCalledLatest) {
  fs::create_directories(path("latest"));
  std::ofstream(path("latest/notes.txt")) << "mine";
  save(100);
  EXPECT_EQ(names(), (std::vector<std::string>{"latest", "latest.copy", "step-00000100"}));
  EXPECT_EQ(read_file(path("latest.copy/notes.txt")), "mine");
}

// A path need not be UTF-8.
TEST_F(Checkpoint, IsFoundUnderAnyName) {
  const std::string folder = folder_.file("run-\xff");
  CheckpointStore({.folder = folder + "/checkpoints"})
      .save(context_, 100, sample_content(context_));
  EXPECT_EQ(CheckpointStore::open(context_, folder).step, 100);
  const std::string too_long = folder_.file(std::string(300, 'x'));
  EXPECT_NE(error_of([&] { CheckpointStore::open(context_, too_long); }).find("too long"),
            std::string::npos);
}

TEST_F(Checkpoint, UnderTheNameOfAnotherStepIsRefused) {
  save(100);
  fs::rename(path("step-00000100"), path("step-00000900"));
  EXPECT_NE(
      error_of([&] { CheckpointStore::open(context_, path("step-00000900")); }).find("step 100"),
      std::string::npos);
  fs::rename(path("step-00000900"), folder_.file("best"));  // a copy of one's own is fine
  EXPECT_EQ(CheckpointStore::open(context_, folder_.file("best")).step, 100);
}

}  // namespace
}  // namespace moesaic
