// The decoder: embedding, blocks of attention and a dense or Mixture-of-Experts network, final
// norm, head.
#pragma once

#include <memory>
#include <vector>

#include "arch/arch.h"
#include "loss/model.h"
#include "models/block.h"
#include "models/block_pass.h"
#include "models/prediction_layer.h"
#include "parallel/parameter_set.h"

namespace moesaic {

class Transformer : public Model {
 public:
  struct Options {
    arch::Options arch;
    BlockPass block_pass = keep_activations;
    MoeTraining moe = {};
    const AdapterFactory* adapters = nullptr;  // used while the model is made
  };

  /// Local. `parameters`, made from the table of `arch`, must outlive the model.
  Transformer(const Options& options, const ParameterSet& parameters, const RankContext& context);

  ModelOutput forward(const ForwardContext& context) const override;

  /// Inference: the first layer for multi-token prediction on hidden_TD of a forward and, in the
  /// batch, the tokens after those that it was of -> [T, D] for the head. Collective as forward.
  at::Tensor predict(const ForwardContext& context, const at::Tensor& hidden_TD) const;

  const arch::Options& arch() const { return arch_; }
  /// The embedding when they are tied.
  const Linear& head() const override { return head_; }

 private:
  Transformer(const Options& options, ModuleBuilder builder, const RankContext& context);
  RotaryTable rotary(const ForwardContext& context) const;
  void predict_ahead(const ForwardContext& context, const RotaryTable& rotary,
                     ModelOutput& output) const;

  arch::Options arch_;
  BlockPass block_pass_;
  const Parameter& embedding_;
  std::vector<std::unique_ptr<Block>> blocks_;
  const Parameter& norm_;
  Linear head_;
  std::vector<std::unique_ptr<PredictionLayer>> predictions_;
};

}  // namespace moesaic
