// A block of the decoder: attention, then a dense or Mixture-of-Experts network.
#pragma once

#include <variant>
#include <vector>

#include "arch/arch.h"
#include "models/parameter_factory.h"
#include "moe/moe_layer.h"
#include "nn/latent_attention.h"
#include "nn/mlp.h"
#include "nn/self_attention.h"
#include "parallel/rank_context.h"

namespace moesaic {

/// What a run brings to the layers with experts.
struct MoeRun {
  MoeTraining training = {};
  at::Tensor slot_LE = {};  // moe/placement.h; undefined: in order
};

/// x + attention(norm(x)), then x + network(norm(x)).
class Block {
 public:
  /// `router` counts the layers with experts.
  Block(const arch::Options& arch, int layer, int router, const MoeRun& moe,
        ParameterFactory& factory, const RankContext& context);

  at::Tensor forward(const ForwardContext& context, const at::Tensor& x_TD,
                     const RotaryTable& rotary, std::vector<RouterRecord>& records) const;
  void collect(ParameterSet& parameters);

 private:
  double norm_eps_;
  Parameter input_norm_, post_attention_norm_;
  std::variant<SelfAttention, LatentAttention> attention_;
  std::variant<Mlp, MoeLayer> network_;
};

}  // namespace moesaic
