// The decoder: embedding, blocks of attention and a dense or Mixture-of-Experts network, final
// norm, head.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "models/block.h"
#include "models/block_pass.h"
#include "models/prediction_layer.h"

namespace moesaic {

class Transformer {
 public:
  struct Options {
    arch::Options arch;
    std::uint64_t seed = 0;                             // of the initial values
    at::ScalarType dtype = at::kFloat;                  // of the masters
    std::map<std::string, at::ScalarType> dtypes = {};  // see ParameterFactory::Options
    bool initialise = true;
    BlockPass block_pass = keep_activations;
    MoeRun moe = {};
  };
  struct Output {
    at::Tensor hidden_TD;               // after the final norm, compute dtype
    std::vector<RouterRecord> routers;  // one a MoE layer
    /// Training: as hidden_TD, of each layer for multi-token prediction; the head makes of row t
    /// what comes 2, 3 ... tokens behind t.
    std::vector<at::Tensor> ahead_TD;
  };

  /// Local; makes this rank's slice of the experts.
  Transformer(const Options& options, const RankContext& context);
  Transformer(const Transformer&) = delete;  // the graph and the ParameterSet refer to the members

  /// Collective over the expert group when the model has experts: also a rank with an empty batch
  /// calls it.
  Output forward(const ForwardContext& context) const;

  /// Inference: the first layer for multi-token prediction on hidden_TD of a forward and, in the
  /// batch, the tokens behind those that it was of -> [T, D] for the head. Collective as forward.
  at::Tensor predict(const ForwardContext& context, const at::Tensor& hidden_TD) const;

  const arch::Options& arch() const { return options_.arch; }
  const ParameterSet& parameters() const { return parameters_; }
  /// The output head [V, D]: the embedding when they are tied.
  const Parameter& head() const { return head_ ? *head_ : embedding_; }

 private:
  RotaryTable rotary(const ForwardContext& context) const;
  void predict_ahead(const ForwardContext& context, const RotaryTable& rotary,
                     Output& output) const;

  Options options_;
  ParameterFactory factory_;
  Parameter embedding_;
  std::vector<std::unique_ptr<Block>> blocks_;
  Parameter norm_;
  std::optional<Parameter> head_;
  std::vector<std::unique_ptr<PredictionLayer>> predictions_;
  ParameterSet parameters_;
};

}  // namespace moesaic
