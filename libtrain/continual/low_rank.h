// The change of a weight that a pair of low-rank factors makes, as penalties see it: as a change of
// the weight. A penalty on A and B alone would say nothing of their product.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "config/recipe.h"
#include "parallel/parameter_set.h"

namespace moesaic {

/// The weight [N, K] becomes weight + scale B A; of experts [e, N, K] each one.
struct LowRankPair {
  const Parameter& weight;
  const Parameter& a;  // [r, K] or [e, r, K]
  const Parameter& b;  // [N, r] or [e, N, r]
  double scale = 1;
  /// [N] or [e, N]: DoRA brings the rows of weight + scale B A to these lengths.
  const Parameter* magnitude = nullptr;
};

/// Those of a recipe's run. `parameters`, made from its training_table, must outlive them. Local.
std::vector<LowRankPair> low_rank_pairs(const Recipe& recipe, const arch::Options& arch,
                                        const ParameterSet& parameters);

/// scale B A, shaped like the weight.
at::Tensor change_of(const LowRankPair& pair);
/// `whole`, which holds the values of the weight, becomes what the pair makes of it.
void merge(const LowRankPair& pair, at::Tensor whole);

struct LowRankPull {
  at::Tensor d_a, d_b;  // gradients with respect to A and B
  double sum = 0;       // of importance (scale B A - anchor)^2, in float64
};

/// The gradients of factor / 2 x that sum. `importance` and `anchor`, a change of the weight, are
/// shaped like the weight; not defined they are 1 and 0. With G = factor importance (scale B A -
/// anchor): dA = scale B^T G, dB = scale G A^T (EWC-LoRA, ICLR 2026, penalises the product in this
/// way). By blocks of rows: no more of the change than a block exists at a time. Local.
LowRankPull low_rank_pull(const LowRankPair& pair, const at::Tensor& importance,
                          const at::Tensor& anchor, double factor);

/// work += -gradient x what has become of scale B A since the factors were `before_a` and
/// `before_b`; both shaped like the weight. By blocks of rows. Local.
void add_work(const LowRankPair& pair, const at::Tensor& before_a, const at::Tensor& before_b,
              const at::Tensor& gradient, const at::Tensor& work);

}  // namespace moesaic
