// CheckpointSaver: when the state of a run goes to disk, seen from the training loop.
#pragma once

#include <memory>

#include "store/checkpoint.h"

namespace moesaic {

class CheckpointSaver {
 public:
  CheckpointSaver() = default;
  virtual ~CheckpointSaver() = default;
  CheckpointSaver(const CheckpointSaver&) = delete;
  CheckpointSaver& operator=(const CheckpointSaver&) = delete;

  /// Collective over world. `content` holds the live tensors, on the host. They may be read until
  /// before_change() returns.
  void save(std::int64_t step, CheckpointContent content);

  /// Called before anything changes what save() was given: returns when that is not read any more.
  void before_change();

  /// Whether a save of this rank has failed since save() returned.
  virtual bool failed() const = 0;

  /// Collective over world. Returns when the last save is done; throws what it failed with, on all
  /// ranks.
  void finish();

  /// Seconds that the training has spent in these calls.
  double wait_seconds() const { return wait_seconds_; }

 private:
  virtual void do_save(std::int64_t step, CheckpointContent content) = 0;
  virtual void do_before_change() = 0;
  virtual void do_finish() = 0;

  double wait_seconds_ = 0;
};

/// Saves while the training waits.
std::unique_ptr<CheckpointSaver> make_sync_saver(const RankContext& context,
                                                 const CheckpointStore& store);

}  // namespace moesaic
