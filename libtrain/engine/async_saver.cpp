#include "engine/async_saver.h"

#include <utility>

#include "core/error.h"

namespace moesaic {
namespace {

RankContext for_thread(const RankContext& context, const std::string& thread) {
  if (!context.world.serves_threads()) {
    throw Error(
        ErrorKind::kRecipe,
        "checkpoint.async needs an MPI that several threads of a rank may use at the same "
        "time (MPI_THREAD_MULTIPLE), and this one does not grant it",
        "set checkpoint.async: false, or use an MPI that was built with support of threads");
  }
  return RankContext::make(context.world.for_thread(thread), context.plan, context.log);
}

}  // namespace

AsyncSaver::AsyncSaver(const RankContext& context, Write write)
    : context_(context),
      own_(for_thread(context, "saver")),
      write_(std::move(write)),
      thread_([this] { run(); }) {}

AsyncSaver::~AsyncSaver() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void AsyncSaver::do_save(std::int64_t step, CheckpointContent content) {
  {
    const std::lock_guard lock(mutex_);
    if (phase_ != Phase::kIdle && context_.is_chief()) {
      context_.log.warn("the checkpoint of step {} is still being written: that of step {} waits",
                        step_, step);
    }
  }
  do_finish();
  {
    const std::lock_guard lock(mutex_);
    next_.emplace(Job{step, std::move(content)});
    step_ = step;
    phase_ = Phase::kCopying;
  }
  changed_.notify_all();
}

void AsyncSaver::do_before_change() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return phase_ != Phase::kCopying; });
}

bool AsyncSaver::failed() const {
  const std::lock_guard lock(mutex_);
  return error_ != nullptr;
}

void AsyncSaver::do_finish() {
  wait_until_idle();
  const bool failed_here = failed();
  if (context_.world.all_reduce(failed_here ? 1.0 : 0.0, ReduceOp::kMax, "checkpoint: written") ==
      0.0) {
    return;
  }
  // The save under way is over, so nobody else looks at these two.
  if (failed_here) std::rethrow_exception(std::exchange(error_, nullptr));
  throw Error(ErrorKind::kCheckpoint,
              format("the checkpoint of step {} failed on another rank", step_));
}

void AsyncSaver::wait_until_idle() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return phase_ == Phase::kIdle; });
}

void AsyncSaver::run() {
  for (;;) {
    Job job;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return next_ || ending_; });
      if (!next_) return;
      job = std::move(*std::exchange(next_, std::nullopt));
    }
    write(std::move(job));
  }
}

void AsyncSaver::write(Job job) {
  std::exception_ptr error;
  try {
    snapshot_.take(job.live);
    job.live = {};
    enter(Phase::kWriting);
    write_(own_, job.step, snapshot_.content());
  } catch (...) {
    error = std::current_exception();
  }
  {
    const std::lock_guard lock(mutex_);
    error_ = error;
  }
  enter(Phase::kIdle);
}

void AsyncSaver::enter(Phase phase) {
  {
    const std::lock_guard lock(mutex_);
    phase_ = phase;
  }
  changed_.notify_all();
}

}  // namespace moesaic
