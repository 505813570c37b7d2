// A block of the decoder: attention, then a dense or Mixture-of-Experts network.
#pragma once

#include <variant>
#include <vector>

#include "arch/arch.h"
#include "models/module_builder.h"
#include "moe/moe_layer.h"
#include "nn/latent_attention.h"
#include "nn/mlp.h"
#include "nn/self_attention.h"
#include "parallel/rank_context.h"

namespace moesaic {

/// x + attention(norm(x)), then x + network(norm(x)).
class Block {
 public:
  /// `router` counts the layers with experts.
  Block(const arch::Options& arch, int layer, int router, const MoeTraining& moe,
        ModuleBuilder& builder, const RankContext& context);

  at::Tensor forward(const ForwardContext& context, const at::Tensor& x_TD,
                     const RotaryTable& rotary, std::vector<RouterRecord>& records) const;

 private:
  double norm_eps_;
  const Parameter& input_norm_;
  const Parameter& post_attention_norm_;
  std::variant<SelfAttention, LatentAttention> attention_;
  std::variant<Mlp, MoeLayer> network_;
};

}  // namespace moesaic
