#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "comm/communicator.h"
#include "core/error.h"

namespace moesaic {
namespace {

/// The message of the Error(kInternal) that `body` throws, or "" when it throws none.
template <class Body>
std::string message_of(const Body& body) {
  try {
    body();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInternal);
    return error.what();
  }
  return "";
}

TEST(SingleCommunicator, EveryCollectiveGivesBackItsInput) {
  const Communicator comm = Communicator::single("alone");
  EXPECT_EQ(comm.rank(), 0);
  EXPECT_EQ(comm.size(), 1);
  EXPECT_EQ(comm.name(), "alone");
  EXPECT_TRUE(comm.is_chief());
  const at::Tensor values = at::arange(6, at::kFloat).view({3, 2});
  at::Tensor tensor = values.clone();
  comm.all_reduce(tensor, ReduceOp::kSum, "sum");
  Work work = comm.all_reduce_async(tensor, ReduceOp::kMax, "max");
  work.wait();
  comm.broadcast(tensor, 0, "broadcast");
  EXPECT_TRUE(at::equal(tensor, values));
  EXPECT_TRUE(at::equal(comm.all_gather(values, "gather"), values));
  at::Tensor mine = at::zeros({3, 2}), all = at::zeros({3, 2});
  comm.reduce_scatter_async(values, {3}, mine, "scatter").wait();
  EXPECT_TRUE(at::equal(mine, values));
  comm.all_gather_async(values, {3}, all, "gather").wait();
  EXPECT_TRUE(at::equal(all, values));
  EXPECT_TRUE(at::equal(comm.all_to_all(values, {3}, {3}, "all to all"), values));
  EXPECT_EQ(comm.all_reduce(2.5, ReduceOp::kMin, "number"), 2.5);
  EXPECT_EQ(comm.broadcast("text", 0, "text"), "text");
  EXPECT_EQ(comm.all_gather("text", "texts"), std::vector<std::string>{"text"});
  comm.barrier("end");
  comm.progress();
}

TEST(SingleCommunicator, ResultsDoNotShareMemoryWithTheInput) {
  const Communicator comm = Communicator::single();
  const at::Tensor values = at::zeros({2, 2});
  at::Tensor gathered = comm.all_gather(values, "gather");
  gathered.fill_(1);
  EXPECT_TRUE(at::equal(values, at::zeros({2, 2})));
}

TEST(SingleCommunicator, SplitsIntoItself) {
  const Communicator part = Communicator::single().split(3, "part");
  EXPECT_EQ(part.size(), 1);
  EXPECT_EQ(part.name(), "part");
}

TEST(Communicator, RefusesTensorsThatDoNotFitAndNamesTheCollective) {
  const Communicator comm = Communicator::single("alone");
  const at::Tensor good = at::zeros({4, 2});
  EXPECT_EQ(message_of([&] { comm.all_reduce(good.t(), ReduceOp::kSum, "turned"); }),
            "collective 'turned' of group alone: the tensor is not contiguous");
  EXPECT_EQ(message_of([&] { comm.all_reduce(at::Tensor(), ReduceOp::kSum, "none"); }),
            "collective 'none' of group alone: the tensor is undefined");
  EXPECT_NE(message_of([&] {
              comm.all_reduce(at::zeros({2}, at::kBFloat16), ReduceOp::kSum, "half");
            }).find("no reduction of BFloat16"),
            std::string::npos);
  EXPECT_NE(message_of([&] {
              comm.all_to_all(good, {3}, {3}, "counts");
            }).find("the send counts sum to 3, the tensor has 4 rows"),
            std::string::npos);
  EXPECT_NE(message_of([&] {
              comm.all_to_all(good, {4, 0}, {4, 0}, "ranks");
            }).find("2 send counts for 1 ranks"),
            std::string::npos);
  EXPECT_NE(message_of([&] {
              comm.all_to_all(good, {4}, {2}, "self");
            }).find("rank 0 sends itself 4 rows but expects 2"),
            std::string::npos);
  const at::Tensor mine = at::zeros({4, 2});
  EXPECT_NE(message_of([&] {
              comm.reduce_scatter_async(good, {3}, mine, "counts");
            }).find("the scattered counts sum to 3, the tensor has 4 rows"),
            std::string::npos);
  EXPECT_NE(message_of([&] {
              comm.all_gather_async(at::zeros({3, 2}), {4}, mine, "part");
            }).find("rank 0 has the shape [3, 2] for its 4 rows"),
            std::string::npos);
  EXPECT_NE(message_of([&] {
              comm.reduce_scatter_async(good, {4}, at::zeros({4, 2}, at::kDouble), "type");
            }).find("its rows and all rows differ in shape or dtype"),
            std::string::npos);
  EXPECT_NE(message_of([&] { comm.broadcast(good, 1, "root"); }).find("there is no root 1"),
            std::string::npos);
}

}  // namespace
}  // namespace moesaic
