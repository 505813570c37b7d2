// Saving beside the training: the file is the state at its step, whatever the training does
// meanwhile, and a failure reaches every rank.
#include "engine/async_saver.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <filesystem>
#include <future>

#include "core/fs.h"
#include "optim/optimizer.h"
#include "support/mpi_test.h"
#include "support/sample_checkpoint.h"
#include "support/shared_folder.h"
#include "support/tiny_model.h"

namespace moesaic {
namespace {

using test::sample_content;
using test::SharedFolder;

AsyncSaver::Write write_to(const CheckpointStore& store) {
  return [store](const RankContext& context, std::int64_t step, const CheckpointContent& content) {
    store.save(context, step, content);
  };
}

/// A writer that does not begin before it is told to.
class Gate {
 public:
  AsyncSaver::Write before(const AsyncSaver::Write& write) {
    return [this, write](const RankContext& context, std::int64_t step,
                         const CheckpointContent& content) {
      opened_.wait();
      write(context, step, content);
    };
  }
  void open() { open_.set_value(); }

 private:
  std::promise<void> open_;
  std::shared_future<void> opened_ = open_.get_future().share();
};

/// Collective over world: the same bytes in both checkpoints.
void expect_equal_files(const Communicator& world, const std::string& a, const std::string& b) {
  world.barrier("written");
  for (const char* name : {"model.h5", "state.h5", "config.json"}) {
    EXPECT_TRUE(read_file(a + "/" + name) == read_file(b + "/" + name)) << name;
  }
  const Json left = Json::parse(read_file(a + "/manifest.json"));
  const Json right = Json::parse(read_file(b + "/manifest.json"));
  EXPECT_EQ(left.at("datasets"), right.at("datasets"));
  EXPECT_EQ(left.at("files"), right.at("files"));
  EXPECT_EQ(left.at("training"), right.at("training"));
  world.barrier("compared");
}

/// A model and its optimizer that learn one batch by heart.
class Training {
 public:
  explicit Training(const RankContext& context)
      : run_(context, test::tiny_olmoe(), test::batch_of({12}, 31, 100 * context.rank()),
             size(context)),
        optimizer_(make_adamw(run_.parameters, {})) {}

  void step(CheckpointSaver* saver = nullptr) {
    run_.loss(true);
    const Gradients gradients = run_.sink.gradients();
    if (saver != nullptr) saver->before_change();
    optimizer_->step(gradients, ++step_, 0.01);
    run_.computation.weights.invalidate();
  }

  CheckpointContent content() const {
    CheckpointContent content;
    content.model = state_of(run_.parameters);
    content.state = optimizer_->state();
    content.config = {{"model_type", "olmoe"}};
    content.training = {{"step", step_}};
    return content;
  }

 private:
  static StepSize size(const RankContext& context) {
    const std::int64_t ranks = context.world.size();
    return {.target_tokens = 12 * ranks, .input_tokens = 12 * ranks, .micro_batches = ranks};
  }

  test::TinyRun run_;
  std::unique_ptr<Optimizer> optimizer_;
  std::int64_t step_ = 0;
};

TEST(AsyncSaver, WritesTheStateOfItsStepWhileTrainingGoesOn) {
  for (const int expert : test::expert_sizes()) {
    const RankContext context = test::context(expert);
    const SharedFolder sync(context.world);
    const SharedFolder async(context.world);
    Gate gate;
    AsyncSaver saver(context, gate.before(write_to(CheckpointStore({.folder = async.path()}))));
    Training training(context);
    for (int i = 0; i < 3; ++i) training.step();
    CheckpointStore({.folder = sync.path()}).save(context, 3, training.content());
    saver.save(3, training.content());
    for (int i = 0; i < 4; ++i) training.step(&saver);  // the writer still waits
    gate.open();
    for (int i = 0; i < 4; ++i) training.step(&saver);  // and now writes
    saver.finish();
    expect_equal_files(context.world, sync.path() + "/step-00000003",
                       async.path() + "/step-00000003");
  }
}

TEST(AsyncSaver, HasItsCopyBeforeTheStateMayChange) {
  const RankContext context = test::context(test::session().size());
  const SharedFolder folder(context.world);
  AsyncSaver saver(context, write_to(CheckpointStore({.folder = folder.path()})));
  for (std::int64_t step = 100; step < 110; ++step) {
    CheckpointContent content = sample_content(context);
    saver.save(step, content);
    saver.before_change();
    test::spoil(content);
  }
  saver.finish();
  CheckpointContent content = sample_content(context);
  test::spoil(content);
  const auto info = CheckpointStore({.folder = folder.path()}).newest(context);
  ASSERT_TRUE(info);
  EXPECT_EQ(info->step, 109);
  CheckpointStore::load(context, *info, content);
  EXPECT_EQ(test::wrong_entry(content), "");
}

TEST(AsyncSaver, WritesOneAfterTheOther) {
  const RankContext context = test::context(1);
  std::vector<std::string> events;  // of the writing thread; read when it is idle
  AsyncSaver saver(context,
                   [&](const RankContext& own, std::int64_t step, const CheckpointContent&) {
                     events.push_back(format("begin {}", step));
                     own.world.barrier("in the middle");
                     events.push_back(format("end {}", step));
                   });
  for (const std::int64_t step : {1, 2, 3}) saver.save(step, {});
  saver.finish();
  EXPECT_EQ(events,
            (std::vector<std::string>{"begin 1", "end 1", "begin 2", "end 2", "begin 3", "end 3"}));
}

TEST(AsyncSaver, EndsTheSaveUnderWayBeforeItGoes) {
  const RankContext context = test::context(1);
  const SharedFolder folder(context.world);
  Gate gate;
  const CheckpointStore store({.folder = folder.path()});
  {
    AsyncSaver saver(context, gate.before(write_to(store)));
    saver.save(7, sample_content(context));
    gate.open();
  }
  EXPECT_EQ(store.newest(context)->step, 7);
}

TEST(AsyncSaver, BringsAFailureOfOneRankToAll) {
  const RankContext context = test::context(1);
  for (int bad = 0; bad < context.world.size(); ++bad) {
    AsyncSaver saver(context,
                     [bad](const RankContext& own, std::int64_t, const CheckpointContent&) {
                       if (own.rank() == bad) throw Error(ErrorKind::kCheckpoint, "no more paper");
                     });
    saver.save(1, {});
    std::string error;
    try {
      saver.finish();
    } catch (const Error& caught) {
      error = caught.what();
    }
    EXPECT_EQ(error, context.rank() == bad ? "no more paper"
                                           : "the checkpoint of step 1 failed on another rank");
    EXPECT_FALSE(saver.failed());  // told once
    saver.finish();
  }
}

TEST(AsyncSaver, TellsThatTheDiskIsFullAtTheNextSaveAndKeepsTheEarlierCheckpoint) {
  const RankContext context = test::context(test::session().size());
  const SharedFolder folder(context.world);
  const CheckpointStore store({.folder = folder.path()});
  AsyncSaver saver(context, write_to(store));
  saver.save(100, sample_content(context));
  saver.finish();
  const int bad = context.world.size() - 1;
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  const rlimit full{100, before.rlim_max};
  if (context.rank() == bad) setrlimit(RLIMIT_FSIZE, &full);
  saver.save(200, sample_content(context));
  std::string error;
  try {
    saver.save(300, sample_content(context));
  } catch (const Error& caught) {
    EXPECT_EQ(caught.kind(), ErrorKind::kCheckpoint);
    error = caught.what();
  }
  setrlimit(RLIMIT_FSIZE, &before);
  EXPECT_NE(error.find("too large"), std::string::npos) << error;
  EXPECT_EQ(error, context.world.broadcast(error, 0, "error"));
  EXPECT_EQ(store.newest(context)->step, 100);
}

}  // namespace
}  // namespace moesaic
