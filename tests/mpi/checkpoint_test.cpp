// Checkpoints of several ranks: any layout loads what any other saved, and a save that fails on one
// rank fails on all and loses nothing.
#include "store/checkpoint.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <csignal>
#include <fstream>

#include "core/fs.h"
#include "support/mpi_test.h"
#include "support/sample_checkpoint.h"
#include "support/shared_folder.h"

namespace moesaic {
namespace {

namespace fs = std::filesystem;
using test::sample_content;
using test::SharedFolder;

/// The first `ranks` ranks as a world of their own; nullopt on the others. Collective over all
/// ranks.
std::optional<RankContext> smaller_world(const Communicator& world, int ranks, int expert_size) {
  const bool inside = world.rank() < ranks;
  const Communicator group = world.split(inside ? 0 : 1, "world");
  if (!inside) return std::nullopt;
  return RankContext::make(group, {.world = ranks, .expert = expert_size}, Log({.console = false}));
}

/// Lowers the limit of file sizes on this rank while it lives.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    std::signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old_);
    const rlimit limit{bytes, old_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() { setrlimit(RLIMIT_FSIZE, &old_); }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;

 private:
  rlimit old_{};
};

/// The message of the error of `work`, which must be of the kind kCheckpoint; "" without one.
template <class Work>
std::string error_of(const Work& work) {
  try {
    work();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kCheckpoint) << error.what();
    return error.what();
  }
  return "";
}

void expect_loads(const RankContext& context, const std::string& folder) {
  CheckpointContent content = sample_content(context);
  test::spoil(content);
  const auto info = CheckpointStore({.folder = folder}).newest(context);
  ASSERT_TRUE(info);
  CheckpointStore::load(context, *info, content);
  EXPECT_EQ(test::wrong_entry(content), "")
      << context.plan.world << " ranks, expert size " << context.plan.expert;
}

TEST(Checkpoint, OfAnyLayoutLoadsOnAnyOther) {
  const Communicator world = test::world();
  for (const char* dtype : {"master", "bfloat16"}) {
    for (const int saved : test::expert_sizes()) {
      const RankContext context = test::context(saved);
      const SharedFolder folder(world);
      const CheckpointStore store({.folder = folder.path(), .dtype = dtype});
      store.save(context, 100, sample_content(context));
      for (int ranks = 1; ranks <= world.size(); ++ranks) {
        for (int expert = 1; expert <= ranks; ++expert) {
          if (ranks % expert != 0) continue;
          const auto smaller = smaller_world(world, ranks, expert);
          if (smaller) expect_loads(*smaller, folder.path());
          world.barrier("next layout");
        }
      }
    }
  }
}

TEST(Checkpoint, HasTheSameValuesAndDigestsOnAnyLayout) {
  const Communicator world = test::world();
  const SharedFolder folder(world);
  Json first;
  for (const int expert : test::expert_sizes()) {
    const RankContext context = test::context(expert);
    const CheckpointStore store({.folder = folder.path(), .keep = 9});
    store.save(context, expert, sample_content(context));
    const Json datasets = store.newest(context)->manifest["datasets"];
    if (first.is_null()) first = datasets;
    EXPECT_EQ(first, datasets) << "expert size " << expert;
  }
}

TEST(Checkpoint, ThatFailsOnOneRankFailsOnAllAndLosesNothing) {
  const RankContext context = test::context(test::session().size());
  const SharedFolder folder(context.world);
  const CheckpointStore store({.folder = folder.path(), .keep = 5});
  store.save(context, 100, sample_content(context));
  for (int bad = 0; bad < context.world.size(); ++bad) {
    for (const rlim_t limit : {rlim_t{100}, rlim_t{100'000}, rlim_t{184'000}}) {
      std::string error;
      {
        std::optional<FileSizeLimit> full;
        if (context.rank() == bad) full.emplace(limit);
        error = error_of([&] { store.save(context, 200, sample_content(context)); });
      }
      // The last ranks may have nothing to write past the limit; then nothing may fail.
      const auto all = context.world.all_gather(error, "errors");
      for (const auto& one : all) EXPECT_EQ(one, all[0]);
      if (bad == 0) {
        EXPECT_NE(error, "") << limit;
      }
      if (error.empty()) {
        EXPECT_EQ(store.newest(context)->step, 200);
        context.world.barrier("whole");
        if (context.is_chief()) fs::remove_all(folder.path() + "/step-00000200");
        context.world.barrier("removed");
        continue;
      }
      if (context.world.size() > 1) {
        EXPECT_TRUE(error.starts_with(format("rank {}: ", bad))) << error;
      }
      EXPECT_EQ(folder.names(), (std::vector<std::string>{"latest", "step-00000100"}));
      expect_loads(context, folder.path());
    }
  }
  store.save(context, 300, sample_content(context));
  EXPECT_EQ(store.newest(context)->step, 300);
}

// Experts are written by all ranks at once: that is where a rank fails alone.
TEST(Checkpoint, FailsOnTheRankWhoseExpertsDoNotFit) {
  const RankContext context = test::context(test::session().size());
  if (context.world.size() == 1) GTEST_SKIP() << "one rank writes everything";
  const SharedFolder folder(context.world);
  const CheckpointStore store({.folder = folder.path()});
  CheckpointContent content;
  content.model = {test::expert_entry(context, "experts", 100, 100)};
  store.save(context, 100, content);
  const int last = context.world.size() - 1;
  std::string error;
  {
    std::optional<FileSizeLimit> full;
    if (context.rank() == last) full.emplace(200'000);  // its rows begin after that
    error = error_of([&] { store.save(context, 200, content); });
  }
  EXPECT_TRUE(error.starts_with(format("rank {}: cannot write dataset 'experts'", last))) << error;
  EXPECT_EQ(folder.names(), (std::vector<std::string>{"latest", "step-00000100"}));
  EXPECT_EQ(store.newest(context)->step, 100);
}

TEST(Checkpoint, OfRanksThatDisagreeIsRefused) {
  const RankContext context = test::context(1);
  if (context.world.size() == 1) GTEST_SKIP() << "one rank cannot disagree";
  const SharedFolder folder(context.world);
  CheckpointContent content = sample_content(context);
  if (context.rank() == 1) content.model.pop_back();
  try {
    CheckpointStore({.folder = folder.path()}).save(context, 100, content);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInternal);
  }
}

TEST(Checkpoint, WithExpertsThatNoRankHoldsIsRefused) {
  const RankContext context = test::context(test::session().size());
  const SharedFolder folder(context.world);
  CheckpointContent content;
  content.model = {test::expert_entry(context, "experts", 2, 2)};
  content.model[0].global_shape[0] += 1;
  try {
    CheckpointStore({.folder = folder.path()}).save(context, 100, content);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("12 of 13 blocks of 'experts'"), std::string::npos)
        << error.what();
  }
}

TEST(Checkpoint, DamagedOnDiskIsPassedOverOnAllRanks) {
  const RankContext context = test::context(test::session().size());
  const SharedFolder folder(context.world);
  const CheckpointStore store({.folder = folder.path()});
  store.save(context, 100, sample_content(context));
  store.save(context, 200, sample_content(context));
  if (context.is_chief()) fs::resize_file(folder.path() + "/step-00000200/state.h5", 3000);
  context.world.barrier("damaged");
  EXPECT_EQ(store.newest(context)->step, 100);
  expect_loads(context, folder.path());
}

}  // namespace
}  // namespace moesaic
