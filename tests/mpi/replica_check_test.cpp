// A bit that flips on one rank is found, and named, by comparing digests of what ranks should hold
// alike.
#include "engine/replica_check.h"

#include <gtest/gtest.h>

#include <cstdint>

#include "core/error.h"
#include "support/mpi_test.h"
#include "support/parameters.h"
#include "support/sample_checkpoint.h"

namespace moesaic {
namespace {

using test::kSampleExperts;

ParameterSet replicated_sample(const RankContext& context) {
  const std::int64_t offset = context.plan.first_expert(context.rank(), kSampleExperts);
  const std::int64_t local = context.plan.local_experts(kSampleExperts);
  std::vector<Parameter> set;
  set.push_back(
      test::parameter_of("embedding", test::sample_tensor("embedding", {9, 3}, at::kFloat, 0)));
  set.push_back(test::expert_of(
      "experts.up", test::sample_tensor("experts.up", {local, 4, 3}, at::kFloat, offset), offset,
      kSampleExperts));
  set.push_back(test::parameter_of("norm", test::sample_tensor("norm", {3}, at::kFloat, 0)));
  return ParameterSet(std::move(set));
}

void flip_bit(const at::Tensor& tensor, std::int64_t element) {
  reinterpret_cast<std::uint32_t*>(tensor.mutable_data_ptr<float>())[element] ^= 1U << 3;
}

/// The message of the difference that is found, the same on all ranks; "" of none.
std::string difference(const RankContext& context, const StateDict& state) {
  std::string message;
  try {
    require_equal_replicas(context, state, "step 7");
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kDevice);
    EXPECT_NE(error.hint().find("--resume auto"), std::string::npos);
    message = error.what();
  }
  for (const std::string& other : context.world.all_gather(message, "messages"))
    EXPECT_EQ(other, message);
  return message;
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(ReplicaCheck, FindsNoDifferenceWhereThereIsNone) {
  for (const int expert : test::expert_sizes()) {
    const RankContext context = test::context(expert);
    const ParameterSet set = replicated_sample(context);
    EXPECT_EQ(difference(context, state_of(set)), "");
  }
}

TEST(ReplicaCheck, NamesTheRankAndTheFirstTensorOfAFlippedBit) {
  for (const int expert : test::expert_sizes()) {
    const RankContext context = test::context(expert);
    const int last = context.world.size() - 1;
    if (last == 0) GTEST_SKIP() << "needs two ranks";
    const ParameterSet set = replicated_sample(context);
    if (context.rank() == last) flip_bit(set.find("norm")->tensor, 2);
    const std::string message = difference(context, state_of(set));
    EXPECT_TRUE(has(message, "step 7: replicas differ: norm is not the same on ")) << message;
    const std::string sides =  // of two nobody knows which is right
        last == 1 ? "rank 0 as on rank 1" : format("rank {} as on ranks 0, 1", last);
    EXPECT_TRUE(has(message, sides)) << message;
  }
}

TEST(ReplicaCheck, ComparesExpertsWithThoseOfTheSameNumberAlone) {
  const Communicator world = test::world();
  for (const int expert : test::expert_sizes()) {
    const RankContext context = test::context(expert);
    const ParameterSet set = replicated_sample(context);
    const int last = world.size() - 1;
    if (context.rank() == last) flip_bit(set.find("experts.up")->tensor, 0);
    const std::string message = difference(context, state_of(set));
    const bool has_replica = context.plan.expert_data() > 1;
    EXPECT_EQ(has(message, "experts.up"), has_replica) << message;
    if (has_replica) {
      EXPECT_TRUE(has(message, format("rank {} as on", last)) ||
                  has(message, format("as on rank {}", last)))
          << message;
    }
  }
}

TEST(ReplicaCheck, LeavesOutWhatIsSpread) {
  const RankContext context = test::context(1);
  StateDict state;
  state.push_back({.name = "moment",
                   .tensor = at::full({1}, context.rank(), at::kFloat),
                   .global_shape = {context.world.size()},
                   .offset = context.rank(),
                   .spread = true});
  EXPECT_EQ(difference(context, state), "");
  state.back().spread = false;
  EXPECT_EQ(has(difference(context, state), "moment"), context.world.size() > 1);
}

TEST(ReplicaCheck, LooksEverySoManyStepsAndBeforeASave) {
  const RankContext context = test::context(1);
  if (context.world.size() == 1) GTEST_SKIP() << "needs two ranks";
  const ParameterSet set = replicated_sample(context);
  const auto optimizer = make_optimizer({}, set);
  ReplicaCheck check(4, set, *optimizer);
  const StateDict moments = optimizer->state();
  check.finished(context, {.number = 4});
  if (context.rank() == 1)
    flip_bit(moments.front().tensor, 1);  // the optimizer's state counts, too
  check.before_save(context, {});         // nothing has changed since step 4
  check.finished(context, {.number = 5});
  EXPECT_THROW(check.before_save(context, {}), Error);
  check.finished(context, {.number = 7});
  EXPECT_THROW(check.finished(context, {.number = 8}), Error);
}

}  // namespace
}  // namespace moesaic
