// AdaptedSource: the weights of a model with an adapter merged into them, for all that takes a
// model. Nothing is written: each weight is made when it is read, in float64, and rounded once.
#pragma once

#include <memory>
#include <string>

#include "store/adapter.h"
#include "store/model_source.h"

namespace moesaic {

class AdaptedSource : public ModelSource {
 public:
  /// Local. The adapter is of this model, as read_peft_folder() gives it. A weight gets the type
  /// that loses neither its own values nor those of the adapter.
  AdaptedSource(std::unique_ptr<ModelSource> base, Adapter adapter);

  Json tokenizer() const override { return base_->tokenizer(); }
  HubOrigin origin(const RankContext& context) const override { return base_->origin(context); }
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
  Adapter adapter_;
};

/// Collective over world. `source` with the adapter at `adapter`, a PEFT folder or a run with
/// adapters, merged into it; as it is where that is "". Error(kCheckpoint) on all ranks when there is none, or it is damaged or
/// of another model.
std::unique_ptr<ModelSource> adapted(const RankContext& context,
                                     std::unique_ptr<ModelSource> source,
                                     const std::string& adapter);

}  // namespace moesaic
