// The decoder: embedding, blocks of attention and a dense or Mixture-of-Experts network, final
// norm, head.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "arch/arch.h"
#include "models/block_pass.h"
#include "models/parameter_factory.h"
#include "moe/moe_layer.h"
#include "nn/latent_attention.h"
#include "nn/mlp.h"
#include "nn/self_attention.h"
#include "parallel/rank_context.h"

namespace moesaic {

/// x + attention(norm(x)), then x + network(norm(x)).
class Block {
 public:
  Block(const arch::Options& arch, int layer, ParameterFactory& factory,
        const RankContext& context);

  at::Tensor forward(const ForwardContext& context, const at::Tensor& x_TD,
                     const RotaryTable& rotary, std::vector<RouterRecord>& records) const;
  void collect(ParameterSet& parameters);

 private:
  double norm_eps_;
  Parameter input_norm_, post_attention_norm_;
  std::variant<SelfAttention, LatentAttention> attention_;
  std::variant<Mlp, MoeLayer> network_;
};

class Transformer {
 public:
  struct Options {
    arch::Options arch;
    std::uint64_t seed = 0;                             // of the initial values
    at::ScalarType dtype = at::kFloat;                  // of the masters
    std::map<std::string, at::ScalarType> dtypes = {};  // see ParameterFactory::Options
    bool initialise = true;
    BlockPass block_pass = keep_activations;
  };
  struct Output {
    at::Tensor hidden_TD;               // after the final norm, compute dtype
    std::vector<RouterRecord> routers;  // one a MoE layer
  };

  /// Local; makes this rank's slice of the experts.
  Transformer(const Options& options, const RankContext& context);
  Transformer(const Transformer&) = delete;  // the graph and the ParameterSet refer to the members

  /// Collective over the expert group when the model has experts: also a rank with an empty batch
  /// calls it.
  Output forward(const ForwardContext& context) const;

  const arch::Options& arch() const { return options_.arch; }
  const ParameterSet& parameters() const { return parameters_; }
  /// The output head [V, D]: the embedding when they are tied.
  const Parameter& head() const { return head_ ? *head_ : embedding_; }

 private:
  Options options_;
  ParameterFactory factory_;
  Parameter embedding_;
  std::vector<std::unique_ptr<Block>> blocks_;
  Parameter norm_;
  std::optional<Parameter> head_;
  ParameterSet parameters_;
};

}  // namespace moesaic
