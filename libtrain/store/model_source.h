// ModelSource: where weights come from: a Hugging Face folder, a checkpoint folder, or a run folder
// (its newest whole checkpoint). `model.from`, score, import and export all go through it.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <memory>
#include <string>

#include "core/json.h"
#include "parallel/rank_context.h"
#include "parallel/state_dict.h"

namespace moesaic {

/// What a model brings along from the Hugging Face folder that it came from, so that an export gives
/// it back: the small files (tokenizer, generation config, licence ...), and the dtype that each
/// weight has there. Empty for a model that Moesaic initialised.
struct HubOrigin {
  std::map<std::string, std::string> files;      // name -> content; chief only
  std::map<std::string, at::ScalarType> dtypes;  // parameter name ("experts." joined) -> dtype
};

class ModelSource {
 public:
  struct LoadOptions {
    bool allow_nonfinite = false;  // else a NaN or infinity among the weights is refused
  };

  /// Collective over world. Finds out what is at `path` and checks it as far as possible without
  /// reading weights. Error(kCheckpoint) on all ranks when it is none of the three, or damaged.
  static std::unique_ptr<ModelSource> open(const RankContext& context, const std::string& path);
  virtual ~ModelSource() = default;

  /// The folder with config.json, for messages.
  virtual const std::string& path() const = 0;
  virtual const Json& config() const = 0;  // config.json as it was found
  virtual Json tokenizer() const = 0;      // description in a checkpoint's manifest; null otherwise
  virtual const HubOrigin& origin() const = 0;
  /// Stored dtype of each weight by parameter name ("experts.<i>." joined to "experts."); the same
  /// on all ranks.
  virtual const std::map<std::string, at::ScalarType>& dtypes() const = 0;

  /// Collective over world. Fills the tensors of `model`, each rank its own slices and no more;
  /// floating types are converted. A weight that is missing, unexpected, or has the wrong shape is
  /// named before any tensor changes. Error(kCheckpoint) on all ranks.
  virtual void load(const RankContext& context, const StateDict& model,
                    const LoadOptions& options) const = 0;
};

}  // namespace moesaic
