// The weights of a checkpoint folder, or of the newest whole checkpoint of a run folder.
#pragma once

#include <memory>
#include <string>

#include "store/checkpoint_rows.h"
#include "store/model_source.h"

namespace moesaic {

class CheckpointSource : public ModelSource {
 public:
  /// Collective over world.
  static std::unique_ptr<CheckpointSource> open(const RankContext& context,
                                                const CheckpointInfo& info);
  /// By this process alone, of a checkpoint whose files are whole.
  explicit CheckpointSource(CheckpointInfo info);

  Json tokenizer() const override;
  HubOrigin origin(const RankContext& context) const override;
  std::string digest_here(const std::function<void()>& alive) const override;
  void read(const std::string& parameter, std::int64_t first,
            const at::Tensor& into) const override {
    into.copy_(rows(parameter, first, into.size(0)));
  }
  at::Tensor rows(const std::string& parameter, std::int64_t first,
                  std::int64_t count) const override {
    return rows_.rows(parameter, first, count);
  }

 protected:
  void fill(const RankContext& context, const StateDict& model) const override;

 private:
  CheckpointInfo info_;
  CheckpointRows rows_;
};

}  // namespace moesaic
