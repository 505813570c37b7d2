#include "parallel/rank_context.h"

#include "core/error.h"

namespace moesaic {

RankContext RankContext::make(const Communicator& world, const Plan& plan, const Log& log,
                              at::Device device) {
  MOESAIC_CHECK(plan.world == world.size(), ErrorKind::kRecipe,
                "the recipe plans {} ranks, but the job has {}; start it with -n {}", plan.world,
                world.size(), plan.world);
  const int rank = world.rank();
  return {.plan = plan,
          .world = world,
          .expert = world.split(plan.expert_group_of(rank), "expert"),
          .expert_data = world.split(plan.expert_rank_of(rank), "expert_data"),
          .log = log,
          .device = device};
}

RankContext RankContext::single() {
  return {.plan = {},
          .world = Communicator::single("world"),
          .expert = Communicator::single("expert"),
          .expert_data = Communicator::single("expert_data"),
          .log = Log(Log::Options{})};
}

}  // namespace moesaic
