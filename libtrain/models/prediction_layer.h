// A layer for multi-token prediction: from what the model made of the tokens up to t, and the token
// after t, it makes what the output head needs to predict the token after those (DeepSeek-AI 2024,
// arXiv 2412.19437, eq. 21 to 23).
#pragma once

#include <vector>

#include "models/block.h"
#include "models/block_pass.h"

namespace moesaic {

class PredictionLayer {
 public:
  struct Output {
    at::Tensor stream_TD;  // what the next such layer goes on from
    at::Tensor hidden_TD;  // after its norm, for the head; compute dtype
  };

  PredictionLayer(const arch::Options& arch, int layer, int router, const MoeTraining& moe,
                  ModuleBuilder& builder, const RankContext& context);

  /// M [norm(embedding of the next token); norm(before)], then the block. before_TD: the model's
  /// result after its final norm, as the serving engines take it, or the stream of the layer
  /// before. Collective as the block is.
  Output forward(const ForwardContext& context, const at::Tensor& before_TD,
                 const at::Tensor& next_embedding_TD, const RotaryTable& rotary, BlockPass pass,
                 std::vector<RouterRecord>& records) const;

 private:
  double norm_eps_;
  const Parameter& embedding_norm_;  // [D]
  const Parameter& hidden_norm_;     // [D]
  Linear projection_;                // [D, 2D]
  Block block_;
  const Parameter& head_norm_;
};

}  // namespace moesaic
