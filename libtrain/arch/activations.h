// What the activations of one micro-batch need: a table of what the operations of a layer keep for
// backward, and the moment of a step that needs most. Follows nn/, moe/ and models/; checked
// against runs by tests/bench/memory_table.py.
#pragma once

#include <cstdint>
#include <vector>

#include "arch/layer_training.h"

namespace moesaic::arch {

struct ActivationOptions {
  double tokens = 1;         // of a micro-batch
  double master_bytes = 4;   // of one value: residual stream, router, statistics
  double compute_bytes = 4;  // of one value: products, attention
  bool split_experts = false;
  bool recomputed = false;       // train.checkpoint_activations
  bool missing_experts = false;  // what the others make of a token is kept, too (dense_mixer)
  bool adapter_dropout = false;  // each adapter keeps an input of its own
  double whole_scores = 0;       // tokens of a sequence whose scores exist as a whole (a device);
                                 // 0 = in tiles
};

/// Something that stays from forward to backward.
struct Kept {
  const char* what;
  double bytes;  // a token
};

/// Of the attention half of a layer: its norm, projections and attention. A frozen weight keeps
/// nothing, and where backward has ended nothing is kept at all.
std::vector<Kept> kept_by_attention(const Options& options, const ActivationOptions& sizes,
                                    const LayerTraining& training = {});
/// Of the network half of layer `layer`: its norm, and the dense network or router, experts and
/// shared expert. Even routing.
std::vector<Kept> kept_by_network(const Options& options, const ActivationOptions& sizes,
                                  std::int64_t layer, const LayerTraining& training = {});

/// Bytes of activations at the moment of a step that needs most: at the losses, or while backward
/// goes through a layer. `layers`: training_of_layers(); none: all is trained.
double activation_peak(const Options& options, const ActivationOptions& sizes,
                       const std::vector<LayerTraining>& layers = {});

}  // namespace moesaic::arch
