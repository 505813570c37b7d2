// ModelSource: where weights come from: a Hugging Face folder, a GGUF file, a checkpoint folder, or
// a run folder (its newest whole checkpoint); the checkpoint of a run with adapters is one merged
// with its base. All that takes a model goes through it: `model.from`,
// score, generate, eval, import (of the first two) and export.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "arch/parameter_table.h"
#include "core/json.h"
#include "parallel/rank_context.h"
#include "parallel/state_dict.h"
#include "store/hub_origin.h"

namespace moesaic {

class ModelSource {
 public:
  struct LoadOptions {
    bool allow_nonfinite = false;  // else a NaN or infinity among the weights is refused
  };

  /// Collective over world. Finds out which of the four is at `path` and checks it without reading
  /// weights: they are those, of the shapes, that its config.json (of a GGUF file: its metadata)
  /// asks for. Error on all ranks when not, or when it is none of the four, or damaged. `base`:
  /// where the base of a run with adapters is now; Error(kUsage) for what has none.
  static std::unique_ptr<ModelSource> open(const RankContext& context, const std::string& path,
                                           const std::optional<std::string>& base = std::nullopt);
  virtual ~ModelSource() = default;

  /// The folder with config.json, or the GGUF file, for messages.
  const std::string& path() const { return path_; }
  const Json& config() const {
    return config_;
  }  // config.json as found; of a GGUF file: made of it
  const arch::Options& arch() const { return arch_; }
  /// Stored dtype of each weight by parameter name ("experts.<i>." joined to "experts."); the same
  /// on all ranks.
  const std::map<std::string, at::ScalarType>& dtypes() const { return dtypes_; }

  /// The matrices that the file has in blocks of values that no dtype stands for, or in F16, which
  /// products read as they are, by parameter name. Error(kUsage) for what is no GGUF file;
  /// Error(kCheckpoint), by name, for experts of a layer that are not of one type.
  virtual std::map<std::string, const GgufTensorType*> blocks() const;

  virtual Json tokenizer() const = 0;  // description in a checkpoint's manifest; null otherwise
  /// Collective over world.
  virtual HubOrigin origin(const RankContext& context) const = 0;

  /// Collective over world. Fills the tensors of `model`, each rank its own slices and no more;
  /// those of quantised weights one matrix at a time, whose values must be finite in any case, but
  /// blocks of the file as they are; floating types are converted. A weight that is missing,
  /// unexpected, or has the wrong shape is named before any tensor changes. Error(kCheckpoint) on
  /// all ranks.
  void load(const RankContext& context, const StateDict& model, const LoadOptions& options) const;

  /// Collective over world. Of the weights and the architecture, the same wherever they lie.
  std::string digest(const RankContext& context) const;
  /// The same by this process alone; `alive` is called now and then.
  virtual std::string digest_here(const std::function<void()>& alive) const = 0;

  /// By this process alone: rows of a parameter from `first` on, as many as the contiguous `into`
  /// has, converted to its type.
  virtual void read(const std::string& parameter, std::int64_t first,
                    const at::Tensor& into) const = 0;
  /// As above: rows [first, first + count), in a stored dtype (where a checkpoint has masters,
  /// theirs).
  virtual at::Tensor rows(const std::string& parameter, std::int64_t first,
                          std::int64_t count) const;

 protected:
  ModelSource(std::string path, Json config);

  /// Of the architecture. Error(kCheckpoint) for a name that it does not have.
  const arch::ParameterInfo& parameter(const std::string& name) const;
  /// Error(kCheckpoint) with `hint`, naming what differs, when `model` is not of this architecture;
  /// `store` is where the weights are: "the folder".
  void require_fit(const StateDict& model, const std::string& store, const std::string& hint) const;

  /// By this process alone: rows of a parameter of blocks() from `first` on as the file has them,
  /// as many as the contiguous bytes [R, ..].
  virtual void read_blocks(const std::string& parameter, std::int64_t first,
                           const at::Tensor& into) const;
  /// Collective over world. All but what is quantised.
  virtual void fill(const RankContext& context, const StateDict& model) const = 0;
  /// fill() by require_fit() and read().
  void fill_by_reading(const RankContext& context, const StateDict& model, const std::string& store,
                       const std::string& hint) const;

  std::string path_;
  Json config_;
  arch::Options arch_;
  std::map<std::string, at::ScalarType> dtypes_;

 private:
  void fill_quantised(const StateEntry& entry) const;
  void fill_blocks(const StateEntry& entry, const LoadOptions& options) const;

  std::map<std::string, arch::ParameterInfo> table_;
};

}  // namespace moesaic
