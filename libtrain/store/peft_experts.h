// The pairs of routed experts in the forms that PEFT has for them.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "arch/parameter_table.h"
#include "store/adapter.h"

namespace moesaic {

/// One pair for several weights of all experts whose outputs follow each other (gate and up; down
/// alone): the sum of their ranks, or one rank where they share A.
AdapterPair fused_pair(const std::vector<const AdapterPair*>& pairs,
                       const std::vector<std::vector<std::int64_t>>& shapes);

/// A of all experts [E r, K] and B [N, r E] as PEFT stores them.
at::Tensor flat_a(const AdapterPair& pair);
at::Tensor flat_b(const AdapterPair& pair);

/// The pairs of the weights `experts` (name -> shape [E, N, K]) with one rank and scale, zeros
/// where `pairs` has none. An expert matrix that no layer adapts stays out, gate and up counting as
/// one, and down projection going with them.
std::map<std::string, AdapterPair> even_pairs(const std::map<std::string, AdapterPair>& pairs,
                                              const arch::Options& options,
                                              const arch::ParameterTable& experts);

}  // namespace moesaic
