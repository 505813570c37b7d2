// The weights of a checkpoint folder, or of the newest whole checkpoint of a run folder.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>

#include "store/checkpoint.h"
#include "store/hdf5.h"
#include "store/model_source.h"

namespace moesaic {

class CheckpointSource : public ModelSource {
 public:
  /// Collective over world.
  static std::unique_ptr<CheckpointSource> open(const RankContext& context,
                                                const std::string& path);
  /// By this process alone, of a checkpoint whose files are whole.
  explicit CheckpointSource(CheckpointInfo info);

  Json tokenizer() const override;
  HubOrigin origin(const RankContext& context) const override;
  void read(const std::string& parameter, std::int64_t first,
            const at::Tensor& into) const override {
    into.copy_(rows(parameter, first, into.size(0)));
  }
  at::Tensor rows(const std::string& parameter, std::int64_t first,
                  std::int64_t count) const override;

 protected:
  void fill(const RankContext& context, const StateDict& model) const override;

 private:
  void check_fit();

  CheckpointInfo info_;
  Hdf5File model_;
  std::set<std::string> masters_;  // parameters that have one in state.h5
  std::optional<Hdf5File> state_;
};

}  // namespace moesaic
