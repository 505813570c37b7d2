// Every collective against a result computed by hand, on the world and on all splits of it.
#include "comm/communicator.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <thread>

#include "core/error.h"
#include "core/random.h"
#include "support/mpi_test.h"

namespace moesaic {
namespace {

using at::equal;

const std::vector<at::ScalarType> kReduced{at::kFloat, at::kDouble, at::kInt, at::kLong, at::kByte};

struct Group {
  Communicator comm;
  std::vector<int> world_ranks;  // in group order
  int colour = 0;
};

/// The world and every split of it into consecutive and into strided groups.
std::vector<Group> groups() {
  const Communicator world = test::world();
  std::vector<Group> result;
  for (int divisor = 1; divisor <= world.size(); ++divisor) {
    for (const bool strided : {false, true}) {
      const auto colour = [&](int rank) { return strided ? rank % divisor : rank / divisor; };
      Group group{world.split(colour(world.rank()), strided ? "strided" : "consecutive"),
                  {},
                  colour(world.rank())};
      for (int rank = 0; rank < world.size(); ++rank) {
        if (colour(rank) == group.colour) group.world_ranks.push_back(rank);
      }
      result.push_back(group);
    }
  }
  return result;
}

TEST(Communicator, SplitsIntoGroupsOrderedByRank) {
  const int me = test::session().rank();
  for (const Group& group : groups()) {
    ASSERT_EQ(group.comm.size(), static_cast<int>(group.world_ranks.size()));
    EXPECT_EQ(group.world_ranks[static_cast<std::size_t>(group.comm.rank())], me);
  }
}

TEST(Communicator, AllReduceSumsThePowersOfTwoOfItsGroupOnly) {
  const int me = test::session().rank();
  for (const Group& group : groups()) {
    std::int64_t sum = 0;
    for (const int rank : group.world_ranks) sum += std::int64_t{1} << rank;
    for (const at::ScalarType type : kReduced) {
      at::Tensor tensor = at::full({3, 2}, 1 << me, type);
      group.comm.all_reduce(tensor, ReduceOp::kSum, "sum");
      EXPECT_TRUE(equal(tensor, at::full({3, 2}, sum, type))) << tensor;
    }
  }
}

TEST(Communicator, AllReduceTakesMaximumAndMinimum) {
  const int me = test::session().rank();
  for (const Group& group : groups()) {
    for (const at::ScalarType type : kReduced) {
      at::Tensor most = at::full({2}, me + 1, type);
      at::Tensor least = at::full({2}, me + 1, type);
      group.comm.all_reduce(most, ReduceOp::kMax, "max");
      group.comm.all_reduce(least, ReduceOp::kMin, "min");
      EXPECT_TRUE(equal(most, at::full({2}, group.world_ranks.back() + 1, type)));
      EXPECT_TRUE(equal(least, at::full({2}, group.world_ranks.front() + 1, type)));
    }
    EXPECT_EQ(group.comm.all_reduce(0.5 * me, ReduceOp::kMax, "one number"),
              0.5 * group.world_ranks.back());
  }
}

TEST(Communicator, AllReduceGivesAllRanksTheSameBits) {
  const Communicator world = test::world();
  // Values of many magnitudes, so that another order of summation gives other bits; sizes on both
  // sides of the limits at which MPI changes its algorithm.
  for (const std::int64_t size : {1, 7, 1000, 40'000, 1'000'003}) {
    at::Tensor tensor = at::empty({size}, at::kFloat);
    const RandomKey key(static_cast<std::uint64_t>(world.rank()), RandomStream::kNoise);
    float* data = tensor.mutable_data_ptr<float>();
    for (std::int64_t i = 0; i < size; ++i) {
      const auto element = static_cast<std::uint64_t>(i);
      data[i] =
          static_cast<float>(std::exp(8 * key.normal(2 * element)) * key.normal(2 * element + 1));
    }
    at::Tensor again = tensor.clone();
    world.all_reduce(tensor, ReduceOp::kSum, "first");
    world.all_reduce(again, ReduceOp::kSum, "second");
    EXPECT_TRUE(equal(tensor, again)) << "size " << size;
    const at::Tensor all = world.all_gather(tensor, "compare");
    for (int rank = 1; rank < world.size(); ++rank) {
      EXPECT_TRUE(equal(all.narrow(0, rank * size, size), all.narrow(0, 0, size)))
          << "size " << size << ", rank " << rank;
    }
  }
}

TEST(Communicator, AllReduceRefusesBfloat16) {
  const Communicator world = test::world();
  at::Tensor tensor = at::zeros({2}, at::kBFloat16);
  EXPECT_THROW(world.all_reduce(tensor, ReduceOp::kSum, "half"), Error);
}

TEST(Communicator, AllGatherKeepsRankOrder) {
  const int me = test::session().rank();
  for (const Group& group : groups()) {
    for (const at::ScalarType type : {at::kFloat, at::kBFloat16, at::kLong, at::kByte}) {
      const at::Tensor all = group.comm.all_gather(at::full({2, 3}, me, type), "gather");
      ASSERT_EQ(all.sizes(), at::IntArrayRef({2 * group.comm.size(), 3}));
      for (int i = 0; i < group.comm.size(); ++i) {
        const int rank = group.world_ranks[static_cast<std::size_t>(i)];
        EXPECT_TRUE(equal(all.narrow(0, 2 * i, 2), at::full({2, 3}, rank, type)));
      }
    }
    EXPECT_EQ(group.comm.all_gather(at::zeros({0, 3}), "nothing").numel(), 0);
  }
}

/// Ways to share rows out: equal, rising from none, all to the last rank, none at all.
std::vector<std::vector<std::int64_t>> ways_to_share(int ranks) {
  const auto size = static_cast<std::size_t>(ranks);
  std::vector<std::int64_t> rising(size), last(size, 0);
  std::iota(rising.begin(), rising.end(), std::int64_t{0});
  last.back() = 5;
  return {std::vector<std::int64_t>(size, 2), rising, last, std::vector<std::int64_t>(size, 0)};
}

std::int64_t rows_before(const std::vector<std::int64_t>& rows, int rank) {
  return std::accumulate(rows.begin(), rows.begin() + rank, std::int64_t{0});
}

TEST(Communicator, AllGatherTakesAnyNumberOfRowsOfEachRankAlsoInPlace) {
  for (const Group& group : groups()) {
    const int me = group.comm.rank(), size = group.comm.size();
    for (const auto& rows : ways_to_share(size)) {
      const std::int64_t mine = rows[static_cast<std::size_t>(me)];
      at::Tensor all = at::full({rows_before(rows, size), 3}, -1, at::kBFloat16),
                 again = all.clone();
      group.comm.all_gather_async(at::full({mine, 3}, me, at::kBFloat16), rows, all, "gather")
          .wait();
      for (int rank = 0; rank < size; ++rank) {
        const std::int64_t count = rows[static_cast<std::size_t>(rank)];
        EXPECT_TRUE(equal(all.narrow(0, rows_before(rows, rank), count),
                          at::full({count, 3}, rank, at::kBFloat16)));
      }
      const at::Tensor part = again.narrow(0, rows_before(rows, me), mine);
      part.fill_(me);
      group.comm.all_gather_async(part, rows, again, "in place").wait();
      EXPECT_TRUE(equal(again, all));
    }
  }
}

TEST(Communicator, ReduceScatterGivesEachRankItsRowsOfTheSumAlsoInPlace) {
  for (const Group& group : groups()) {
    const int me = group.comm.rank(), size = group.comm.size();
    for (const auto& rows : ways_to_share(size)) {
      const std::int64_t mine = rows[static_cast<std::size_t>(me)], before = rows_before(rows, me);
      // Row i of rank r has the value 2^r (1 + i).
      at::Tensor all = at::empty({rows_before(rows, size), 3}, at::kDouble);
      for (std::int64_t i = 0; i < all.size(0); ++i)
        all[i].fill_(static_cast<double>((1 << me) * (1 + i)));
      const at::Tensor given = all.clone();
      at::Tensor sum = at::full({mine, 3}, -1, at::kDouble);
      group.comm.reduce_scatter_async(all, rows, sum, "scatter").wait();
      EXPECT_TRUE(equal(all, given));
      for (std::int64_t i = 0; i < mine; ++i) {
        const auto value = static_cast<double>(((1 << size) - 1) * (1 + before + i));
        EXPECT_TRUE(equal(sum[i], at::full({3}, value, at::kDouble)));
      }
      const at::Tensor part = all.narrow(0, before, mine);
      group.comm.reduce_scatter_async(all, rows, part, "in place").wait();
      EXPECT_TRUE(equal(part, sum));
    }
  }
}

TEST(Communicator, FindsRanksThatShareOutDifferently) {
  const Communicator world = test::world();
  if (world.size() == 1) GTEST_SKIP() << "one rank cannot disagree";
  std::vector<std::int64_t> rows(static_cast<std::size_t>(world.size()), 0);
  rows[world.rank() == 1 ? 1 : 0] = 4;
  const std::int64_t mine = rows[static_cast<std::size_t>(world.rank())];
  try {
    world.reduce_scatter_async(at::zeros({4, 2}), rows, at::zeros({mine, 2}), "scatter").wait();
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kCommunication);
    EXPECT_NE(std::string(error.what()).find("reduce_scatter 'scatter'"), std::string::npos)
        << error.what();
  }
}

TEST(Communicator, BroadcastTakesTheValuesOfTheRoot) {
  const int me = test::session().rank();
  for (const Group& group : groups()) {
    for (int root = 0; root < group.comm.size(); ++root) {
      const int source = group.world_ranks[static_cast<std::size_t>(root)];
      for (const at::ScalarType type : {at::kFloat, at::kBFloat16, at::kInt}) {
        at::Tensor tensor = at::full({5}, me, type);
        group.comm.broadcast(tensor, root, "broadcast");
        EXPECT_TRUE(equal(tensor, at::full({5}, source, type)));
      }
      const std::string mine =
          std::string(static_cast<std::size_t>(10 * me), 'x') + std::to_string(me);
      const std::string theirs =
          std::string(static_cast<std::size_t>(10 * source), 'x') + std::to_string(source);
      EXPECT_EQ(group.comm.broadcast(mine, root, "text"), theirs);
    }
    EXPECT_EQ(group.comm.broadcast("", 0, "empty text"), "");
  }
}

TEST(Communicator, AllGatherKeepsTextsOfAnyLengthAndByte) {
  const auto text_of = [](int rank) {
    return rank == 0 ? std::string()
                     : std::string(static_cast<std::size_t>(rank * 7), '\0') + "a\n";
  };
  for (const Group& group : groups()) {
    const auto texts = group.comm.all_gather(text_of(test::session().rank()), "texts");
    ASSERT_EQ(texts.size(), group.world_ranks.size());
    for (std::size_t i = 0; i < texts.size(); ++i)
      EXPECT_EQ(texts[i], text_of(group.world_ranks[i]));
  }
}

/// Rows that tell where they come from, where they go and which one they are.
at::Tensor tagged(const std::vector<std::int64_t>& rows, at::ScalarType type, bool sender, int me) {
  const auto total = std::accumulate(rows.begin(), rows.end(), std::int64_t{0});
  at::Tensor tensor = at::empty({total, 2}, at::kLong);
  auto* data = tensor.mutable_data_ptr<std::int64_t>();
  for (std::size_t peer = 0; peer < rows.size(); ++peer) {
    for (std::int64_t i = 0; i < rows[peer]; ++i) {
      const auto other = static_cast<int>(peer);
      *data++ = sender ? 10 * me + other : 10 * other + me;
      *data++ = i;
    }
  }
  return tensor.to(type);
}

/// rows(from, to) gives the number of rows; checks what arrives.
template <class Rows>
void check_all_to_all(const Communicator& comm, const Rows& rows, at::ScalarType type) {
  std::vector<std::int64_t> send;
  std::vector<std::int64_t> receive;
  for (int peer = 0; peer < comm.size(); ++peer) {
    send.push_back(rows(comm.rank(), peer));
    receive.push_back(rows(peer, comm.rank()));
  }
  const at::Tensor received =
      comm.all_to_all(tagged(send, type, true, comm.rank()), send, receive, "all to all");
  EXPECT_TRUE(equal(received, tagged(receive, type, false, comm.rank()))) << received;
}

TEST(Communicator, AllToAllMovesEqualUnevenAndNoRows) {
  for (const Group& group : groups()) {
    const int last = group.comm.size() - 1;
    for (const at::ScalarType type : {at::kFloat, at::kDouble, at::kBFloat16, at::kLong}) {
      check_all_to_all(
          group.comm, [](int, int) { return 2; }, type);
      check_all_to_all(
          group.comm, [](int from, int to) { return from + 2 * to; }, type);
      check_all_to_all(
          group.comm, [](int, int) { return 0; }, type);
      // One rank gets everything; one rank has nothing to send.
      check_all_to_all(
          group.comm, [&](int, int to) { return to == last ? 3 : 0; }, type);
      check_all_to_all(
          group.comm, [](int from, int to) { return from == 0 ? 0 : to; }, type);
    }
  }
}

TEST(Communicator, AllToAllMovesMoreThanOneMessageHolds) {
  const Communicator world = test::world();
  for (const at::ScalarType type : {at::kFloat, at::kLong}) {
    check_all_to_all(
        world, [](int from, int to) { return 100'001 * ((from + 2 * to) % 3); }, type);
  }
}

TEST(Communicator, AllToAllSendsRowsWithoutWidthAndWithManyDimensions) {
  const Communicator world = test::world();
  const std::vector<std::int64_t> one(static_cast<std::size_t>(world.size()), 1);
  const at::Tensor flat = at::full({world.size()}, world.rank(), at::kLong);
  EXPECT_TRUE(equal(world.all_to_all(flat, one, one, "flat"), at::arange(world.size(), at::kLong)));
  EXPECT_EQ(world.all_to_all(at::zeros({world.size(), 0}), one, one, "no width").size(0),
            world.size());
  const at::Tensor deep = at::full({world.size(), 2, 3}, world.rank(), at::kFloat);
  const at::Tensor got = world.all_to_all(deep, one, one, "deep");
  EXPECT_TRUE(equal(got[world.size() - 1], at::full({2, 3}, world.size() - 1, at::kFloat)));
}

TEST(Communicator, AsynchronousCollectivesOverlapAndFinishInAnyOrder) {
  const int me = test::session().rank();
  const Communicator world = test::world();
  const Communicator pairs = world.split(me / 2, "pairs");
  const float all = static_cast<float>((1 << world.size()) - 1);
  std::vector<at::Tensor> tensors;
  std::vector<Work> works;
  for (int i = 0; i < 8; ++i) {
    tensors.push_back(at::full({50'000}, (1 << me) * (i + 1), at::kFloat));
    works.push_back(world.all_reduce_async(tensors.back(), ReduceOp::kSum, format("sum {}", i)));
    at::Tensor other = at::full({4}, 1, at::kFloat);
    pairs.all_reduce(other, ReduceOp::kSum, "between");
    EXPECT_TRUE(equal(other, at::full({4}, pairs.size(), at::kFloat)));
    world.progress();
  }
  for (std::size_t i = works.size(); i-- > 0;) {
    works[i].wait();
    works[i].wait();  // twice is once
    EXPECT_TRUE(equal(tensors[i], at::full({50'000}, all * static_cast<float>(i + 1), at::kFloat)));
  }
}

TEST(Communicator, ADroppedWorkKeepsItsTensorsUntilItEnds) {
  const Communicator world = test::world();
  for (int i = 0; i < 20; ++i) {
    world.all_reduce_async(at::full({200'000}, 1, at::kFloat), ReduceOp::kSum, "dropped");
  }
  at::Tensor last = at::full({1}, 1, at::kFloat);
  world.all_reduce(last, ReduceOp::kSum, "last");
  world.barrier("end");
  EXPECT_EQ(last.item<float>(), static_cast<float>(world.size()));
}

TEST(Communicator, ProgressFinishesACollectiveWithoutWaiting) {
  const Communicator world = test::world();
  at::Tensor tensor = at::full({1'000'000}, 1, at::kFloat);
  Work work = world.all_reduce_async(tensor, ReduceOp::kSum, "large");
  const volatile float* last = tensor.mutable_data_ptr<float>() + tensor.numel() - 1;
  while (*last != static_cast<float>(world.size()))
    world.progress();  // CTest's time-out ends a failure
  work.wait();
  EXPECT_TRUE(equal(tensor, at::full({1'000'000}, world.size(), at::kFloat)));
}

TEST(Communicator, ForAnotherThreadCommunicatesAtTheSameTime) {
  const Communicator world = test::world();
  ASSERT_TRUE(world.serves_threads());
  const Communicator other = world.for_thread("other");
  EXPECT_EQ(other.rank(), world.rank());
  // This thread waits for the other one in the middle of its collective.
  const at::Tensor mine = at::full({300'000}, 1, at::kFloat);
  Work work = world.all_reduce_async(mine, ReduceOp::kSum, "mine");
  double sum = 0;
  std::thread thread([&] {
    for (int i = 0; i < 50; ++i) sum += other.all_reduce(i, ReduceOp::kSum, "theirs");
  });
  thread.join();
  work.wait();
  EXPECT_EQ(sum, 50 * 49 / 2 * world.size());
  EXPECT_TRUE(equal(mine, at::full({300'000}, world.size(), at::kFloat)));
}

TEST(MpiSession, KnowsItsPlaceOnTheMachine) {
  const MpiSession& session = test::session();
  EXPECT_LT(session.local_rank(), session.local_size());
  EXPECT_LE(session.local_size(), session.size());
  EXPECT_FALSE(MpiSession::library_version().empty());
}

}  // namespace
}  // namespace moesaic
