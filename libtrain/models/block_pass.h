// How the forward of a block is run: what of it stays for backward. A part of the model, chosen
// when it is made; both passes give the same bits.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "loss/model.h"
#include "nn/forward_context.h"
#include "nn/rotary.h"

namespace moesaic {

class Block;

/// x_TD -> [T, D]; appends the records of the block's router. Collective over the expert group when
/// the block has experts.
using BlockPass = at::Tensor (*)(const Block& block, const ForwardContext& context,
                                 const at::Tensor& x_TD, const RotaryTable& rotary,
                                 std::vector<RouterRecord>& records);

/// Everything that backward needs stays.
at::Tensor keep_activations(const Block& block, const ForwardContext& context,
                            const at::Tensor& x_TD, const RotaryTable& rotary,
                            std::vector<RouterRecord>& records);

/// The block's input and its router's record stay; backward runs the forward again, with the
/// experts that were chosen the first time. Its collectives are repeated too, in backward's order
/// of blocks, which is the same on all ranks.
at::Tensor recompute_activations(const Block& block, const ForwardContext& context,
                                 const at::Tensor& x_TD, const RotaryTable& rotary,
                                 std::vector<RouterRecord>& records);

}  // namespace moesaic
