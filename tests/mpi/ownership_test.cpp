// State that is spread over ranks: the steps of a sharded optimizer give what every rank would
// compute alone, and its checkpoints are those of state that all ranks hold.
#include "parallel/ownership.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>
#include <optional>

#include "core/error.h"
#include "core/fs.h"
#include "core/random.h"
#include "engine/async_saver.h"
#include "store/checkpoint.h"
#include "support/mpi_test.h"
#include "support/parameters.h"
#include "support/sample_checkpoint.h"
#include "support/shared_folder.h"

namespace moesaic {
namespace {

using test::kSampleExperts;
using test::sample_tensor;
using test::SharedFolder;

void add(std::vector<Parameter>& parameters, const RankContext& context, const std::string& name,
         const std::vector<std::int64_t>& shape, Scope scope = Scope::kDense) {
  if (scope == Scope::kDense) {
    parameters.push_back(test::parameter_of(name, sample_tensor(name, shape, at::kFloat, 0)));
    return;
  }
  const std::int64_t offset = context.plan.first_expert(context.rank(), shape[0]);
  std::vector<std::int64_t> local = shape;
  local[0] = context.plan.local_experts(shape[0]);
  parameters.push_back(
      test::expert_of(name, sample_tensor(name, local, at::kFloat, offset), offset, shape[0]));
}

/// Parameters of three, two and one digest blocks, and experts.
ParameterSet sample_parameters(const RankContext& context) {
  std::vector<Parameter> set;
  add(set, context, "embedding", {9001, 5});
  add(set, context, "norm", {7});
  add(set, context, "experts.up", {kSampleExperts, 6, 5}, Scope::kExpert);
  add(set, context, "router", {12, 5});
  add(set, context, "experts.down", {kSampleExperts, 5, 6}, Scope::kExpert);
  add(set, context, "head", {4100, 3});
  return ParameterSet(std::move(set));
}

/// A checkpoint with moments that each rank holds whole, or the rows that it owns.
CheckpointContent sample_content(const RankContext& context, bool spread) {
  const ParameterSet set = sample_parameters(context);
  const Ownership ownership = Ownership::make(set, context);
  CheckpointContent content;
  content.model = state_of(set);
  for (const Parameter& parameter : set) {
    const RowRange all{0, parameter.tensor.size(0)};
    const RowRange rows = spread ? ownership.own(parameter) : all;
    std::vector<std::int64_t> shape = parameter.tensor.sizes().vec();
    shape[0] = rows.count;
    for (const std::string prefix : {"exp_avg", "exp_avg_sq"}) {
      const at::Tensor moment = sample_tensor(prefix + "/" + parameter.name, shape, at::kDouble,
                                              parameter.offset + rows.first);
      content.state.push_back(spread ? spread_entry_like(parameter, prefix, moment, rows)
                                     : entry_like(parameter, prefix, moment));
    }
  }
  content.state.push_back(test::dense_entry("steps", {}, at::kLong));
  content.config = {{"model_type", "olmoe"}};
  return content;
}

void expect_loads(const RankContext& context, const CheckpointInfo& info, bool spread) {
  CheckpointContent content = sample_content(context, spread);
  test::spoil(content);
  CheckpointStore::load(context, info, content);
  EXPECT_EQ(test::wrong_entry(content), "")
      << context.plan.world << " ranks, expert size " << context.plan.expert
      << (spread ? ", spread" : ", whole");
}

/// The first `ranks` ranks as a world of their own; nullopt on the others. Collective over all.
std::optional<RankContext> smaller_world(const Communicator& world, int ranks, int expert_size) {
  const bool inside = world.rank() < ranks;
  const Communicator group = world.split(inside ? 0 : 1, "world");
  if (!inside) return std::nullopt;
  return RankContext::make(group, {.world = ranks, .expert = expert_size}, Log({.console = false}));
}

/// The positions of one scope.
std::vector<std::size_t> positions_of(const ParameterSet& set, Scope scope) {
  std::vector<std::size_t> positions;
  for (std::size_t i = 0; i < set.size(); ++i) {
    if (set[i].scope == scope) positions.push_back(i);
  }
  return positions;
}

/// The parameters at `positions`, or the rows of them that rank `rank` owns, in one flat buffer.
at::Tensor flat(const ParameterSet& set, const std::vector<std::size_t>& positions) {
  std::vector<at::Tensor> parts;
  for (const std::size_t i : positions) parts.push_back(set[i].tensor.view(-1));
  return at::cat(parts);
}

at::Tensor flat_of_rank(const ParameterSet& set, const std::vector<std::size_t>& positions,
                        const Ownership& ownership, int rank) {
  std::vector<at::Tensor> parts;
  for (const std::size_t i : positions) {
    const RowRange rows = ownership.of(set[i], rank);
    parts.push_back(set[i].tensor.narrow(0, rows.first, rows.count).reshape(-1));
  }
  return at::cat(parts);
}

// Values of many magnitudes, so that another order of summation gives other bits.
at::Tensor gradient_of(const at::Tensor& weights, int rank) {
  const RandomKey key(static_cast<std::uint64_t>(rank), RandomStream::kNoise);
  at::Tensor gradient = at::empty(weights.sizes(), at::kFloat);
  auto* data = gradient.mutable_data_ptr<float>();
  for (std::int64_t i = 0; i < gradient.numel(); ++i) {
    const auto element = static_cast<std::uint64_t>(i);
    data[i] =
        static_cast<float>(std::exp(8 * key.normal(2 * element)) * key.normal(2 * element + 1));
  }
  return gradient;
}

TEST(Ownership, ReduceScatterUpdateAndGatherAreTheWholeUpdateOnEveryRank) {
  for (const int expert : test::expert_sizes()) {
    const RankContext context = test::context(expert);
    const ParameterSet set = sample_parameters(context);
    const Ownership ownership = Ownership::make(set, context);
    for (const Scope scope : {Scope::kDense, Scope::kExpert}) {
      const Communicator& group = scope == Scope::kDense ? context.world : context.expert_data;
      const auto positions = positions_of(set, scope);
      const at::Tensor weights = flat(set, positions);
      const at::Tensor gradient = gradient_of(weights, context.rank());
      const at::Tensor sum = gradient.clone();
      group.all_reduce(sum, ReduceOp::kSum, "whole");
      const at::Tensor updated = weights.sub(sum.mul(0.1));

      const std::vector<std::int64_t> counts = ownership.counts(positions);
      at::Tensor own = flat_of_rank(set, positions, ownership, group.rank());
      at::Tensor own_sum = at::empty(own.sizes(), at::kFloat);
      group.reduce_scatter_async(gradient, counts, own_sum, "scatter").wait();
      own.sub_(own_sum.mul(0.1));
      at::Tensor gathered = at::zeros(weights.sizes());
      group.all_gather_async(own, counts, gathered, "gather").wait();
      EXPECT_TRUE(at::equal(gathered, updated)) << "expert size " << expert;
    }
  }
}

TEST(Checkpoint, OfSpreadOrWholeStateLoadsAsEitherOnAnyLayout) {
  const Communicator world = test::world();
  for (const int saved : test::expert_sizes()) {
    for (const bool spread : {false, true}) {
      const RankContext context = test::context(saved);
      const SharedFolder folder(world);
      const CheckpointStore store({.folder = folder.path()});
      store.save(context, 100, sample_content(context, spread));
      const CheckpointInfo info = *store.newest(context);
      for (int ranks = 1; ranks <= world.size(); ++ranks) {
        for (int expert = 1; expert <= ranks; ++expert) {
          if (ranks % expert != 0) continue;
          const auto smaller = smaller_world(world, ranks, expert);
          for (const bool as_spread : {false, true}) {
            if (smaller) expect_loads(*smaller, info, as_spread);
          }
          world.barrier("next layout");
        }
      }
    }
  }
}

TEST(Checkpoint, OfSpreadStateIsByteForByteThatOfWholeState) {
  for (const int expert : test::expert_sizes()) {
    const RankContext context = test::context(expert);
    const SharedFolder whole(context.world), spread(context.world);
    CheckpointStore({.folder = whole.path()}).save(context, 1, sample_content(context, false));
    CheckpointStore({.folder = spread.path()}).save(context, 1, sample_content(context, true));
    context.world.barrier("written");
    for (const char* name : {"model.h5", "state.h5", "manifest.json"}) {
      const std::string file = std::string("/step-00000001/") + name;
      EXPECT_TRUE(read_file(whole.path() + file) == read_file(spread.path() + file)) << name;
    }
    context.world.barrier("compared");
  }
}

TEST(Checkpoint, OfSpreadStateIsCopiedByTheAsyncSaver) {
  for (const int expert : test::expert_sizes()) {
    const RankContext context = test::context(expert);
    const SharedFolder folder(context.world);
    const CheckpointStore store({.folder = folder.path()});
    AsyncSaver saver(context,
                     [store](const RankContext& own, std::int64_t step,
                             const CheckpointContent& content) { store.save(own, step, content); });
    for (const std::int64_t step : {1, 2}) {  // the second copy uses the memory of the first
      CheckpointContent content = sample_content(context, true);
      saver.save(step, content);
      saver.before_change();
      test::spoil(content);
    }
    saver.finish();
    expect_loads(context, *store.newest(context), false);
  }
}

TEST(Checkpoint, WithRowsThatTwoRanksOwnIsRefusedAndLeavesNothing) {
  const RankContext context = test::context(1);
  if (context.world.size() == 1) GTEST_SKIP() << "one rank owns everything";
  const SharedFolder folder(context.world);
  const auto refusal = [&](std::int64_t first, std::int64_t count) {
    CheckpointContent content;
    content.model = {test::dense_entry("weights", {9001, 2})};
    StateEntry entry = test::dense_entry("moment", {9001, 2});
    entry.tensor = entry.tensor.narrow(0, first, count).clone();
    entry.offset = first;
    entry.spread = true;
    content.state = {entry};
    try {
      CheckpointStore({.folder = folder.path()}).save(context, 1, content);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kInternal) << error.what();
      return std::string(error.what());
    }
    return std::string();
  };
  const std::string all = refusal(0, 9001);
  EXPECT_NE(all.find(format("{} of 3 blocks of 'moment'", 3 * context.world.size())),
            std::string::npos)
      << all;
  // As many blocks as there are, but the last one is nobody's.
  const std::int64_t blocks = context.rank() == 0 ? 2 : context.rank() == 1 ? 1 : 0;
  const std::string twice = refusal(0, 4096 * blocks);
  EXPECT_NE(twice.find("no rank has written a block of 'moment'"), std::string::npos) << twice;
  EXPECT_TRUE(folder.names().empty());
}

TEST(Checkpoint, OfSpreadStateIsCheckedByTheRankThatReadsABlock) {
  const RankContext context = test::context(1);
  const SharedFolder folder(context.world);
  const CheckpointStore store({.folder = folder.path()});
  store.save(context, 1, sample_content(context, false));
  CheckpointInfo info = *store.newest(context);
  std::string& digest = info.manifest["datasets"]["exp_avg/embedding"][2].get_ref<std::string&>();
  digest[0] = digest[0] == '0' ? '1' : '0';
  CheckpointContent content = sample_content(context, true);
  const ParameterSet set = sample_parameters(context);
  const Ownership ownership = Ownership::make(set, context);
  int owner = 0;
  while (ownership.of(set[0], owner).end() != 9001) ++owner;
  try {
    CheckpointStore::load(context, info, content);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kCheckpoint);
    const std::string message = error.what();
    EXPECT_NE(message.find("block 2 of"), std::string::npos) << message;
    if (context.world.size() > 1) {
      EXPECT_TRUE(message.starts_with(format("rank {}: ", owner))) << message;
    }
  }
}

}  // namespace
}  // namespace moesaic
