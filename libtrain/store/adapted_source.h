// AdaptedSource: the weights of a model with an adapter merged into them, for all that takes a
// model. Nothing is written: each weight is made when it is read, in float64, and rounded once.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "store/adapter.h"
#include "store/checkpoint.h"
#include "store/model_source.h"

namespace moesaic {

class AdaptedSource : public ModelSource {
 public:
  /// Local. The adapter is of the model `base`. A weight gets the type that loses neither its own
  /// values nor those of the adapter. `own`: the checkpoint that is the adapter, and a model of its
  /// own by its path, tokenizer and small files.
  AdaptedSource(std::unique_ptr<ModelSource> base, std::unique_ptr<AdapterRows> adapter,
                std::optional<CheckpointInfo> own = std::nullopt);

  /// Collective over world. A checkpoint that holds an adapter, with its base, which is looked for
  /// at `base`, by default where the manifest says. Error(kData) when it is not there, or another
  /// one.
  static std::unique_ptr<AdaptedSource> open(const RankContext& context, const CheckpointInfo& info,
                                             const std::optional<std::string>& base);

  Json tokenizer() const override;
  HubOrigin origin(const RankContext& context) const override;
  std::string digest_here(const std::function<void()>& alive) const override;
  void read(const std::string& parameter, std::int64_t first,
            const at::Tensor& into) const override;
  /// Those that the adapter changes in float64.
  at::Tensor rows(const std::string& parameter, std::int64_t first,
                  std::int64_t count) const override;

 protected:
  void fill(const RankContext& context, const StateDict& model) const override;

 private:
  std::unique_ptr<ModelSource> base_;
  std::unique_ptr<AdapterRows> adapter_;
  std::optional<CheckpointInfo> own_;
};

/// Collective over world. `source` with the adapter at `adapter` merged into it, a PEFT folder or a
/// checkpoint or run with adapters; as it is where that is "". Error on all ranks when there is
/// none, or it is damaged (kCheckpoint) or of another model (kCheckpoint; of a run: kData).
std::unique_ptr<ModelSource> adapted(const RankContext& context,
                                     std::unique_ptr<ModelSource> source,
                                     const std::string& adapter);

}  // namespace moesaic
