// main() of the MPI tests. After each test the ranks agree on its result, so that a failure on any
// rank fails the program on all and is named; a rank that left a test early makes the others fail
// by time-out, not hang.
#include <gtest/gtest.h>

#include <cstdio>
#include <string>
#include <vector>

#include "core/error.h"
#include "support/mpi_test.h"

namespace moesaic::test {
namespace {

const MpiSession* current_session = nullptr;  // set once by main

/// Agrees on each result and prints for the ranks that have no printer of their own.
class AgreeingListener : public testing::EmptyTestEventListener {
 public:
  explicit AgreeingListener(const Communicator& agreement) : agreement_(agreement) {}

  int num_failed() const { return num_failed_; }

 private:
  void OnTestPartResult(const testing::TestPartResult& result) override {
    if (!result.failed() || agreement_.is_chief()) return;  // the chief's printer shows its own
    std::fprintf(stderr, "[rank %d] %s:%d: %s\n", agreement_.rank(),
                 result.file_name() != nullptr ? result.file_name() : "?", result.line_number(),
                 result.message());
  }

  void OnTestEnd(const testing::TestInfo& info) override {
    const std::string name = std::string(info.test_suite_name()) + "." + info.name();
    // The name travels with the result: ranks that are at different tests are an error too.
    const auto results =
        agreement_.all_gather((info.result()->Failed() ? "F" : "P") + name, "result of " + name);
    std::vector<int> failed;
    for (std::size_t rank = 0; rank < results.size(); ++rank) {
      if (results[rank] != "P" + name) failed.push_back(static_cast<int>(rank));
    }
    if (failed.empty()) return;
    ++num_failed_;
    if (agreement_.is_chief()) {
      std::fprintf(stderr, "[  FAILED  ] %s on rank %s of %d\n", name.c_str(),
                   format("{}", join(failed, ", ")).c_str(), agreement_.size());
    }
  }

  Communicator agreement_;
  int num_failed_ = 0;
};

int run(const MpiSession& mpi) {
  // Longer than the time-out of the tests: a rank may come here a time-out before the others.
  const Communicator agreement = world({.timeout_s = 150, .check_collectives = false});
  auto& listeners = testing::UnitTest::GetInstance()->listeners();
  if (mpi.rank() != 0) delete listeners.Release(listeners.default_result_printer());
  auto* listener = new AgreeingListener(agreement);  // owned by the listeners
  listeners.Append(listener);
  const int result = RUN_ALL_TESTS();
  const int num_failed = listener->num_failed();
  delete listeners.Release(listener);  // its communicator must not outlive MPI
  return result != 0 || num_failed > 0 ? 1 : 0;
}

}  // namespace

const MpiSession& session() { return *current_session; }

Communicator world() { return world({.timeout_s = 60, .check_collectives = true}); }

Communicator world(const CommOptions& options, const Watchdog::Options& watchdog) {
  return session().world(options, watchdog);
}

RankContext context(int expert_size) {
  const Communicator all = world();
  return RankContext::make(all, {.world = all.size(), .expert = expert_size}, Log());
}

std::vector<int> expert_sizes() {
  std::vector<int> sizes;
  for (int size = 1; size <= session().size(); ++size) {
    if (session().size() % size == 0) sizes.push_back(size);
  }
  return sizes;
}

}  // namespace moesaic::test

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  const moesaic::MpiSession mpi(moesaic::MpiThreads::kAtTheSameTime);
  moesaic::test::current_session = &mpi;
  try {
    const int code = moesaic::test::run(mpi);
    if (code != 0) mpi.abort(code);  // after a failure MPI_Finalize may wait for ever
  } catch (const std::exception& error) {
    std::fprintf(stderr, "[rank %d] %s\n", mpi.rank(), error.what());
    mpi.abort(1);
  }
  return 0;
}
