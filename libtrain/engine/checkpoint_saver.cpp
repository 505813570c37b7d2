#include "engine/checkpoint_saver.h"

#include <utility>

#include "core/clock.h"

namespace moesaic {
namespace {

class SyncSaver : public CheckpointSaver {
 public:
  SyncSaver(const RankContext& context, const CheckpointStore& store)
      : context_(context), store_(store) {}

  bool failed() const override { return false; }

 private:
  void do_save(std::int64_t step, CheckpointContent content) override {
    store_.save(context_, step, content);
  }
  void do_before_change() override {}
  void do_finish() override {}

  const RankContext& context_;
  CheckpointStore store_;
};

}  // namespace

void CheckpointSaver::save(std::int64_t step, CheckpointContent content) {
  const Stopwatch watch;
  do_save(step, std::move(content));
  wait_seconds_ += watch.seconds();
}

void CheckpointSaver::before_change() {
  const Stopwatch watch;
  do_before_change();
  wait_seconds_ += watch.seconds();
}

void CheckpointSaver::finish() {
  const Stopwatch watch;
  do_finish();
  wait_seconds_ += watch.seconds();
}

std::unique_ptr<CheckpointSaver> make_sync_saver(const RankContext& context,
                                                 const CheckpointStore& store) {
  return std::make_unique<SyncSaver>(context, store);
}

}  // namespace moesaic
