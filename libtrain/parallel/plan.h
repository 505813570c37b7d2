// Plan: sizes -> groups. Pure arithmetic, checked once; RankContext makes the groups from it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace moesaic {

struct Plan {
  int world = 1;
  int expert = 1;  // ranks of an expert group: consecutive ranks that hold every expert once

  /// Throws Error(kRecipe) with the reason when the sizes do not fit. `num_experts` 0 = dense
  /// model.
  static Plan make(int world, int expert, std::int64_t num_experts);

  int expert_group_of(int rank) const { return rank / expert; }  // colour of the all-to-all group
  int expert_rank_of(int rank) const {
    return rank % expert;
  }  // which slice of the experts; colour of expert_data
  int expert_data() const { return world / expert; }  // ranks that hold the same experts

  std::int64_t local_experts(std::int64_t num_experts) const { return num_experts / expert; }
  std::int64_t first_expert(int rank, std::int64_t num_experts) const {
    return expert_rank_of(rank) * local_experts(num_experts);
  }
};

}  // namespace moesaic
