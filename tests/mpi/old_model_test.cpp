// A copy of a model whose experts move from rank to rank with those that are trained.
#include "continual/old_model.h"

#include <ATen/ops/allclose.h>
#include <gtest/gtest.h>

#include "models/make_model.h"
#include "moe/placement.h"
#include "support/mpi_test.h"
#include "support/tiny_model.h"

namespace moesaic {
namespace {

/// Expert e of layer l in slot (5 e + 7 l + 1) of 12.
Json scattered() {
  Json table = Json::array();
  for (std::int64_t layer = 0; layer < 2; ++layer) {
    Slots slots;
    for (std::int64_t e = 0; e < 12; ++e) slots.push_back((5 * e + 7 * layer + 1) % 12);
    table.push_back(slots);
  }
  return table;
}

TEST(OldModel, SaysTheSameWhereverItsExpertsLie) {
  const arch::Options arch = test::tiny_olmoe();
  for (const int expert : test::expert_sizes()) {
    if (expert == 1) continue;  // there experts stay
    const RankContext context = test::context(expert);
    const ParameterSet parameters = test::parameters_of(arch, context);
    ExpertPlacement placement(arch.num_routers(), arch.num_experts, expert);
    const Computation computation{.precision = Precision::named("float64"), .world = context.world};
    OldModel old(
        parameters, {}, context, arch, computation,
        [&](const ParameterSet& own) {
          return make_model({.arch = arch, .moe = {.slot_LE = placement.slot_LE()}}, own, context);
        },
        true);
    const Batch batch = test::batch_of({3 + context.rank(), 2}, 31, 100 * context.rank());
    const auto said = [&] {
      const ForwardContext forward = old.context(batch);
      return old.hidden(forward);
    };
    const at::Tensor before = said();
    StateDict live = state_of(parameters);
    for (const StateEntry& entry : old.state()) live.push_back(entry);
    placement.plan_from(scattered());
    placement.lie_as_planned(live, context.expert);
    old.changed();
    EXPECT_TRUE(at::allclose(said(), before, 1e-10, 1e-12)) << expert;
    old.take();  // of those that have moved, too
    EXPECT_TRUE(at::allclose(said(), before, 1e-10, 1e-12)) << expert;
  }
}

}  // namespace
}  // namespace moesaic
