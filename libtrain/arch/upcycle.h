// Upcycling: the architecture with experts that a dense one becomes (Komatsuzaki et al. 2023, arXiv
// 2212.05055; granular: He et al. 2024, arXiv 2410.07524). Every dense network becomes
// num_experts / granularity copies of itself, each cut into `granularity` experts.
#pragma once

#include <cstdint>
#include <vector>

#include "arch/arch.h"

namespace moesaic::arch {

struct UpcycleOptions {
  std::int64_t num_experts = 0;  // 0 = no upcycling
  std::int64_t num_experts_per_tok = 2;
  std::int64_t granularity = 1;  // pieces that a network is cut into
  double noise = 0;              // standard deviation of what is added to the weights of an
                                 // expert, relative to theirs
  double reinit = 0;             // share of an expert's inner units that begin anew
};

/// llama -> mixtral, qwen3 -> qwen3_moe: their weights of the chosen experts add up to 1, so that
/// copies without noise compute what the dense network did. Mistakes go to `problems`, their keys
/// those of UpcycleOptions; then the result is meaningless.
Options upcycled(const Options& dense, const UpcycleOptions& upcycle,
                 std::vector<Problem>& problems);

/// As above, but throws Error(kRecipe) with every mistake.
Options require_upcycled(const Options& dense, const UpcycleOptions& upcycle);

}  // namespace moesaic::arch
