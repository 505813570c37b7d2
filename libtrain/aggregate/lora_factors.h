// How low-rank adapters of several silos become one. The change of a weight is scale B A, B (out x
// r), A (r x in); the mean of the products is not the product of the means, so plain averaging is
// not what training meant. All take the factors after local training, not their changes; the
// weights add up to 1. float64.
#pragma once

#include <span>
#include <string>

#include "aggregate/small_matrix.h"

namespace moesaic::aggregate {

/// The factors of one linear map.
struct LoraFactors {
  Matrix b;  // out x r
  Matrix a;  // r x in
};

/// One global adapter, and what goes into the frozen weight: base += scale x base_b base_a, where
/// base_b has no columns when there is nothing to add.
struct LoraAggregate {
  LoraFactors adapter;
  LoraFactors base;
};

/// stacking (FLoRA, arXiv 2409.05976): [w_1 B_1 | w_2 B_2 | ...] [A_1; A_2; ...] is the mean of the
/// products exactly, of rank r_1 + r_2 + ... The ranks may differ.
LoraFactors stacked(std::span<const LoraFactors> silos, std::span<const double> weights);

/// mean of each factor (average), or with frozen_a (FFA-LoRA, arXiv 2403.12313) of B alone, exact
/// because A is the same everywhere. Error(kData) when shapes differ, or with `frozen_a` A does.
LoraFactors averaged(std::span<const LoraFactors> silos, std::span<const double> weights,
                     bool frozen_a);

/// The best product of rank `rank` for the mean of the products (FlexLoRA, arXiv 2402.11505):
/// B = U sqrt(S), A = sqrt(S) V^T of its singular values, which are found from the stacked factors
/// without the product itself.
LoraFactors best_of_rank(const LoraFactors& stacked_factors, std::size_t rank);

/// `weight`, whole rows of a map from number `first_row` on, += scale x those of B A.
void add_product(const LoraFactors& factors, double scale, std::size_t first_row,
                 std::span<double> weight);

/// By the key aggregator.lora. stacking: the mean goes into the base, and the adapter is empty
/// (rank 0; each silo begins anew); residual (FedEx-LoRA, arXiv 2410.09432): the factors are
/// averaged and what is then missing goes into the base. `rank`: of svd.
LoraAggregate aggregate_lora(const std::string& way, std::span<const LoraFactors> silos,
                             std::span<const double> weights, std::size_t rank);

}  // namespace moesaic::aggregate
