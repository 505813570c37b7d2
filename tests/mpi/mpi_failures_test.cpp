// What MPI would answer with a hang or with garbage must be an error that names the offender.
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "comm/communicator.h"
#include "comm/watchdog.h"
#include "core/error.h"
#include "support/mpi_test.h"
#include "support/shared_folder.h"

namespace moesaic {
namespace {

/// The message of the Error(kCommunication) that `body` throws, or "" when it throws none.
template <class Body>
std::string message_of(const Body& body) {
  try {
    body();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kCommunication);
    return error.what();
  }
  return "";
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

using test::SharedFolder;

TEST(CheckCollectives, NamesBothSidesWhenSizesDiffer) {
  const Communicator world = test::world();
  if (world.size() == 1) GTEST_SKIP() << "needs two ranks";
  const int last = world.size() - 1;
  at::Tensor tensor = at::zeros({world.rank() == last ? 5 : 4});
  const std::string message =
      message_of([&] { world.all_reduce(tensor, ReduceOp::kSum, "uneven"); });
  EXPECT_TRUE(contains(message, "rank 0 calls all_reduce 'uneven' (sum of Float, 4 values)"))
      << message;
  EXPECT_TRUE(
      contains(message, format("rank {} calls all_reduce 'uneven' (sum of Float, 5 values)", last)))
      << message;
}

TEST(CheckCollectives, NamesBothSidesWhenLabelsOperationsOrKindsDiffer) {
  const Communicator world = test::world();
  if (world.size() == 1) GTEST_SKIP() << "needs two ranks";
  const bool odd = world.rank() % 2 == 1;
  at::Tensor tensor = at::zeros({4});
  std::string message =
      message_of([&] { world.all_reduce(tensor, ReduceOp::kSum, odd ? "right" : "left"); });
  EXPECT_TRUE(contains(message, "'left'") && contains(message, "'right'")) << message;
  message = message_of(
      [&] { world.all_reduce(tensor, odd ? ReduceOp::kMax : ReduceOp::kSum, "operation"); });
  EXPECT_TRUE(contains(message, "max of Float") && contains(message, "sum of Float")) << message;
  message = message_of([&] {
    if (odd) {
      world.broadcast(tensor, 0, "kind");
    } else {
      world.barrier("kind");
    }
  });
  EXPECT_TRUE(contains(message, "broadcast") && contains(message, "barrier")) << message;
  world.barrier("the group still works");
}

TEST(CheckCollectives, NamesThePairWhoseRowsDoNotMatch) {
  const Communicator world = test::world();
  if (world.size() == 1) GTEST_SKIP() << "needs two ranks";
  const auto ranks = static_cast<std::size_t>(world.size());
  const std::vector<std::int64_t> send(ranks, 2);
  std::vector<std::int64_t> receive(ranks, 2);
  if (world.rank() == 1) receive[0] = 3;
  const at::Tensor rows = at::zeros({2 * world.size(), 4});
  const std::string message =
      message_of([&] { world.all_to_all(rows, send, receive, "dispatch"); });
  EXPECT_TRUE(contains(message, "rank 0 calls all_to_all 'dispatch'")) << message;
  EXPECT_TRUE(contains(message, "sends it 2 rows, rank 1 calls it and expects 3 rows")) << message;
}

TEST(Watchdog, ATimeOutNamesTheRankThatIsBehind) {
  const Communicator agreed = test::world();
  if (agreed.size() == 1) GTEST_SKIP() << "needs two ranks";
  const SharedFolder folder(agreed);
  const int last = agreed.size() - 1;
  {
    const Communicator world = test::world({.timeout_s = 2}, {.folder = folder.path()});
    world.barrier("together");
    if (agreed.rank() != last) {
      at::Tensor tensor = at::zeros({3});
      std::vector<int> behind;
      const std::string message = message_of([&] {
        try {
          world.all_reduce(tensor, ReduceOp::kSum, "alone");
        } catch (const TimeOut& error) {
          behind = error.behind();
          EXPECT_TRUE(contains(error.hint(), format("the log of rank {};", last))) << error.hint();
          throw;
        }
      });
      EXPECT_EQ(behind, std::vector<int>{last});
      EXPECT_TRUE(
          contains(message, format("collective 'alone' of group world (rank {} of {}) did not "
                                   "finish in ",
                                   agreed.rank(), agreed.size())))
          << message;
      EXPECT_TRUE(contains(message, format("behind: rank {}\n", last))) << message;
      EXPECT_TRUE(contains(message, format("rank {}: collective 1, 'together' of world", last)))
          << message;
    }
    agreed.barrier("the others have timed out");
    // The late rank comes after all, so that nothing stays under way.
    at::Tensor tensor = at::zeros({3});
    if (agreed.rank() == last) world.all_reduce(tensor, ReduceOp::kSum, "alone");
  }
}

TEST(Watchdog, ARankWithSignsOfLifeIsWaitedFor) {
  const Communicator agreed = test::world();
  if (agreed.size() == 1) GTEST_SKIP() << "needs two ranks";
  const SharedFolder folder(agreed);
  const Communicator world = test::world({.timeout_s = 4}, {.folder = folder.path()});
  if (world.is_chief()) {  // a long local phase, longer than the time-out
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    while (std::chrono::steady_clock::now() < end) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      world.progress();
    }
  }
  EXPECT_EQ(message_of([&] { world.barrier("late but alive"); }), "");
}

}  // namespace
}  // namespace moesaic
