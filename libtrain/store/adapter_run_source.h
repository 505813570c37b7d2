// AdapterRunSource: the checkpoint of a run with adapters, merged with the base that they belong
// to: W + scale B A where there is a pair, what was trained in full, and the base's weights
// elsewhere. Nothing is written: each weight is made when it is read.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "config/lora_targets.h"
#include "config/recipe.h"
#include "store/adapter.h"
#include "store/checkpoint_rows.h"
#include "store/model_source.h"

namespace moesaic {

/// What such a checkpoint's manifest says of its base.
struct AdapterBase {
  std::string path;    // where its weights were
  std::string digest;  // ModelSource::digest

  Json to_json() const { return {{"path", path}, {"digest", digest}}; }
  /// Error(kCheckpoint) when the manifest says nothing of the kind.
  static AdapterBase of(const CheckpointInfo& info);
  /// Error(kData) when the weights now at `path`, of this digest, are others.
  void require(const std::string& digest_there, const std::string& path_there,
               const std::string& checkpoint) const;
};

/// The adapter that the checkpoint of a run holds. By this process alone. Error(kCheckpoint) when
/// it does not hold what its recipe trains.
Adapter adapter_of_run(const CheckpointInfo& info);

class AdapterRunSource : public ModelSource {
 public:
  static bool is_adapted(const CheckpointInfo& info);

  /// Collective over world. The base is looked for at `base`, by default where the manifest says.
  /// Error(kData) when it is not there, or another one.
  static std::unique_ptr<AdapterRunSource> open(const RankContext& context,
                                                const CheckpointInfo& info,
                                                const std::optional<std::string>& base);
  /// By this process alone. `recipe` is that of the run.
  AdapterRunSource(CheckpointInfo info, const Recipe& recipe, std::unique_ptr<ModelSource> base);

  Json tokenizer() const override;
  HubOrigin origin(const RankContext& context) const override;
  std::string digest_here(const std::function<void()>& alive) const override;
  void read(const std::string& parameter, std::int64_t first,
            const at::Tensor& into) const override {
    into.copy_(rows(parameter, first, into.size(0)));
  }
  at::Tensor rows(const std::string& parameter, std::int64_t first,
                  std::int64_t count) const override;

 protected:
  void fill(const RankContext& context, const StateDict& model) const override;

 private:
  CheckpointInfo info_;
  CheckpointRows saved_;
  std::unique_ptr<ModelSource> base_;
  std::map<std::string, LoraTarget> targets_;  // by the weight, which has a pair
  std::set<std::string> in_full_;              // weights that were trained in full
};

}  // namespace moesaic
