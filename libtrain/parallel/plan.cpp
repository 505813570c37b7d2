#include "parallel/plan.h"

#include "core/divisors.h"
#include "core/error.h"

namespace moesaic {

Plan Plan::make(int world, int expert, std::int64_t num_experts) {
  MOESAIC_CHECK(world >= 1, ErrorKind::kRecipe, "parallel.ranks is {}, it must be at least 1",
                world);
  MOESAIC_CHECK(num_experts >= 0, ErrorKind::kRecipe, "num_experts is {}, it must not be negative",
                num_experts);
  MOESAIC_CHECK(expert >= 1, ErrorKind::kRecipe, "parallel.expert is {}, it must be at least 1",
                expert);
  MOESAIC_CHECK(num_experts > 0 || expert == 1, ErrorKind::kRecipe,
                "parallel.expert is {}, but the model has no experts; set it to 1", expert);
  if (world % expert == 0 && (num_experts == 0 || num_experts % expert == 0)) {
    return {.world = world, .expert = expert};
  }
  throw Error(
      ErrorKind::kRecipe,
      world % expert != 0
          ? format("parallel.expert is {}, which does not divide the {} ranks", expert, world)
          : format("parallel.expert is {}, which does not divide the {} experts", expert,
                   num_experts),
      format("values of parallel.expert that fit {} ranks and {} experts: {}", world, num_experts,
             join(common_divisors(world, num_experts), ", ")));
}

}  // namespace moesaic
