// Principal singular values and vectors (Meng et al. 2024, arXiv 2404.02948): A and B begin as the
// best change of rank r that could be taken out of a weight, and the weight becomes what is left of
// it: W - scale B A.
#pragma once

#include <vector>

#include "parallel/parameter_set.h"
#include "parallel/rank_context.h"

namespace moesaic {

/// A weight [N, K] or [e, N, K] and the factors that are taken out of it; they must outlive it.
struct PissaFactors {
  const Parameter& weight;
  const Parameter& a;  // [r, K] or [e, r, K]
  const Parameter& b;  // [N, r] or [e, N, r]
  double scale;
};

/// B = U sqrt(S / scale), A = sqrt(S / scale) V of the r largest singular values of each matrix
/// alone, computed in float64 by one thread; of each row of A the value largest in magnitude is
/// positive. Collective over world and expert_data: the ranks that hold the same weights share the
/// work.
void find_principal_factors(const std::vector<PissaFactors>& all, const RankContext& context);

/// Takes scale B A out of each weight. Local.
void take_out(const std::vector<PissaFactors>& all);

}  // namespace moesaic
