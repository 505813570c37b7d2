// Weights in the blocks of a GGUF file, of random codes and small scales.
#pragma once

#include <ATen/ops/empty.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>

#include <string>
#include <vector>

#include "support/parameters.h"

namespace moesaic::test {

struct BlockType {
  GgufTensorType type;
  std::vector<std::int64_t> halves;  // places of float16 in a block
};

/// Those that are kept as a file has them.
inline const std::vector<BlockType>& block_types() {
  static const std::vector<BlockType> types = {
      {{1, "F16", 1, 2}, {0}},          {{2, "Q4_0", 32, 18}, {0}},
      {{3, "Q4_1", 32, 20}, {0, 2}},    {{8, "Q8_0", 32, 34}, {0}},
      {{12, "Q4_K", 256, 144}, {0, 2}}, {{14, "Q6_K", 256, 210}, {208}}};
  return types;
}

inline QuantisedWeight random_blocks(const BlockType& of, const std::vector<std::int64_t>& shape) {
  QuantisedWeight weight(of.type, shape);
  const at::Tensor blocks = weight.parts()[0].view({-1, std::int64_t{of.type.bytes}});
  blocks.copy_(at::randint(256, blocks.sizes(), at::kByte));
  for (const std::int64_t place : of.halves) {
    const at::Tensor scales = at::randn({blocks.size(0), 1}).mul_(0.05).to(at::kHalf);
    blocks.narrow(1, place, 2).copy_(scales.view(at::kByte));
  }
  return weight;
}

/// A weight [N, K] or [e, N, K] that is kept so.
inline Parameter parameter_in_blocks(const std::string& name, const BlockType& of,
                                     const std::vector<std::int64_t>& shape) {
  Parameter parameter = parameter_of(name, at::empty(shape, at::TensorOptions(at::kMeta)));
  parameter.trainable = false;
  parameter.storage = arch::Storage::kFileBlocks;
  parameter.scope = shape.size() == 3 ? Scope::kExpert : Scope::kDense;
  parameter.quantised = random_blocks(of, shape);
  return parameter;
}

}  // namespace moesaic::test
