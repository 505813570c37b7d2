// InferenceModel: a model that was opened to compute with, not to train: its weights keep the dtype
// of the file and are converted where they are used, so a rank holds its share and no copies.
// Quantised ones become float32, or stay as the file has them.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>

#include "models/transformer.h"
#include "nn/forward_context.h"
#include "observe/work_meter.h"
#include "parallel/parameter_set.h"
#include "parallel/rank_context.h"
#include "store/model_files.h"

namespace moesaic {

/// Collective over world. The architecture of the model at `path`, which says how its experts can
/// be divided, before there are groups. Error(kCheckpoint) when there is no model.
arch::Options model_architecture(const Communicator& world, const std::string& path,
                                 const Log& log);

/// `expert` is the size of an expert group; 0 = the largest one that fits. Error(kUsage), with the
/// sizes that fit, when it does not.
Plan inference_plan(int ranks, int expert, std::int64_t num_experts);

/// A warning where `what`, of `tokens` tokens, goes beyond max_position_embeddings: the model may
/// never have seen such positions. Returns whether it does.
bool warn_beyond_positions(const Log& log, const arch::Options& arch, std::int64_t tokens,
                           const std::string& what);

class InferenceModel {
 public:
  struct Options {
    std::string path;                      // Hugging Face folder, checkpoint folder or run folder
    std::string adapter;                   // PEFT folder that is merged into it; "" = none
    std::optional<std::string> base = {};  // of a run with adapters, where it has moved
    std::string precision = "float32";     // float64 | float32 | bfloat16
    bool allow_nonfinite = false;          // accept weights that are NaN or infinite
    bool file_weights = false;   // of a GGUF file: stay in its blocks, which products read
    bool predict = false;        // with the layers for multi-token prediction; refused without them
    bool many_passes = false;    // keep converted weights where every pass would convert them again
    std::string work_rows = {};  // file of metrics of the work that is done with it; "" = none
  };

  /// Collective over world.
  InferenceModel(const RankContext& context, const Options& options);

  const arch::Options& arch() const { return model_->arch(); }
  const Precision& precision() const { return computation_.precision; }
  /// What came along with the weights; the chief has it.
  const ModelFiles& files() const { return files_; }
  /// Is told of the work by who does it.
  WorkMeter& meter() { return meter_; }

  /// -log p of each target of `batch`, in the master dtype; 0 where there is no target. Collective
  /// over the expert group when the model has experts. `caches` as those of read(); none = each
  /// sequence begins here.
  at::Tensor token_losses(const RankContext& context, const Batch& batch,
                          std::span<KvCache* const> caches = {});

  /// Final hidden states [T, D] of `batch`, whose i-th sequence goes on with that in the i-th of
  /// `caches` (of an empty batch none). Collective over the expert group when the model has
  /// experts.
  at::Tensor read(const RankContext& context, const Batch& batch, std::span<KvCache* const> caches);
  /// As above where no rank has more than one token of a sequence: each row is what it would be
  /// alone, whatever the others are.
  at::Tensor read_single(const RankContext& context, const Batch& batch,
                         std::span<KvCache* const> caches);
  /// What the first layer for multi-token prediction makes of the hidden states of T tokens and, in
  /// `batch`, those after them: [T, D], from which the logits of the tokens after these follow.
  /// Collective as read() is; `caches` are those of read(), before they have advanced.
  at::Tensor predict(const RankContext& context, const Batch& batch, const at::Tensor& hidden_TD,
                     std::span<KvCache* const> caches);
  /// Logits [R, V] of rows of hidden states, in the master dtype on the CPU; each row as if it were
  /// alone. Local.
  at::Tensor logits(const at::Tensor& hidden_RD);
  /// A cache for `tokens` tokens of one sequence.
  KvCache make_cache(std::int64_t tokens) const;

 private:
  at::Tensor read_by(MatmulKernel kernel, const RankContext& context, const Batch& batch,
                     std::span<KvCache* const> caches);

  Computation computation_;
  ModelFiles files_;
  std::unique_ptr<ParameterSet> parameters_;
  std::unique_ptr<Transformer> model_;
  WorkMeter meter_;
};

}  // namespace moesaic
