#include "engine/checkpoint_saver.h"

namespace moesaic {
namespace {

class SyncSaver : public CheckpointSaver {
 public:
  SyncSaver(const RankContext& context, const CheckpointStore& store)
      : context_(context), store_(store) {}

  void save(std::int64_t step, CheckpointContent content) override {
    store_.save(context_, step, content);
  }
  void before_change() override {}
  bool failed() const override { return false; }
  void finish() override {}

 private:
  const RankContext& context_;
  CheckpointStore store_;
};

}  // namespace

std::unique_ptr<CheckpointSaver> make_sync_saver(const RankContext& context,
                                                 const CheckpointStore& store) {
  return std::make_unique<SyncSaver>(context, store);
}

}  // namespace moesaic
