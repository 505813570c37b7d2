// AsyncSaver: a thread of its own writes the checkpoints. It copies the state while the next step
// runs forward and backward, which only read it; the step waits for the copy before it changes the
// state. Then the thread writes the copy, with communicators of its own. HDF5 is not thread-safe:
// from the first save on, this thread is the only one of the process that calls it.
#pragma once

#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>

#include "engine/checkpoint_saver.h"
#include "engine/snapshot.h"

namespace moesaic {

class AsyncSaver : public CheckpointSaver {
 public:
  /// Writes one checkpoint. Collective over the world of `context`.
  using Write = std::function<void(const RankContext& context, std::int64_t step,
                                   const CheckpointContent& content)>;

  /// Collective over world. Error(kRecipe) on all ranks where MPI does not serve threads.
  AsyncSaver(const RankContext& context, Write write);
  /// Ends the save under way first: it is the newest state that there is.
  ~AsyncSaver() override;

  bool failed() const override;

 private:
  /// Waits for the save under way and throws what that failed with, then begins this one.
  void do_save(std::int64_t step, CheckpointContent content) override;
  void do_before_change() override;
  void do_finish() override;

  struct Job {
    std::int64_t step = 0;
    CheckpointContent live;
  };
  enum class Phase { kIdle, kCopying, kWriting };

  void run();
  void write(Job job);
  void enter(Phase phase);
  void wait_until_idle();

  const RankContext& context_;  // of the thread that trains
  RankContext own_;             // of the thread that writes
  Write write_;
  Snapshot snapshot_;  // used by the thread that writes

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  Phase phase_ = Phase::kIdle;
  std::optional<Job> next_;
  bool ending_ = false;
  std::int64_t step_ = 0;     // of the last save
  std::exception_ptr error_;  // of the last save
  std::thread thread_;        // last: it uses all the others
};

}  // namespace moesaic
