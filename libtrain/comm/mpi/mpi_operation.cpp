#include "comm/mpi/mpi_operation.h"

#include <sched.h>

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "core/clock.h"
#include "core/error.h"

namespace moesaic {
namespace {

/// Waiting that is quick when the peer is near and leaves the core to others when it is not: ranks
/// may outnumber the cores.
class Backoff {
 public:
  void pause() {
    if (++rounds_ < kSpins) return;
    if (since_.seconds() < kYieldSeconds) {
      ::sched_yield();
      return;
    }
    std::this_thread::sleep_for(sleep_);
    sleep_ = std::min(sleep_ * 2, std::chrono::microseconds(500));
  }

 private:
  static constexpr int kSpins = 50;
  static constexpr double kYieldSeconds = 5e-3;

  int rounds_ = 0;
  Stopwatch since_;
  std::chrono::microseconds sleep_{20};
};

}  // namespace

std::string MpiOperation::where() const {
  return format("collective '{}' of group {} (rank {} of {})", label, group, rank, size);
}

MpiRuntime::~MpiRuntime() {
  poll();
  if (pending_.empty()) return;
  // After an error MPI may still write into the tensors of what never finished: let go of them
  // unfreed.
  [[maybe_unused]] auto* leaked = new auto(std::move(pending_));
}

bool MpiRuntime::test(MpiOperation& operation, bool& moved) {
  auto& requests = operation.requests;
  while (!requests.empty() || operation.then) {
    std::vector<int> indices(requests.size());
    int num_done = 0;
    check_mpi(MPI_Testsome(static_cast<int>(requests.size()), requests.data(), &num_done,
                           indices.data(), MPI_STATUSES_IGNORE),
              operation.where());
    if (num_done != MPI_UNDEFINED && num_done > 0) moved = true;
    std::erase(requests, MPI_REQUEST_NULL);
    if (!requests.empty()) return false;
    if (operation.then) std::exchange(operation.then, nullptr)(operation);
  }
  operation.tensors.clear();
  operation.span.end();
  return true;
}

/// Every operation and not only the first: each may have a next stage to start.
bool MpiRuntime::poll() {
  bool moved = false;
  std::erase_if(pending_, [&](const auto& operation) { return test(*operation, moved); });
  return moved;
}

void MpiRuntime::progress() {
  watchdog_.alive();
  poll();
}

void MpiRuntime::time_out(const MpiOperation& operation, double seconds) const {
  const auto [report, behind] = watchdog_.report();
  const std::string logs =
      behind.empty() ? "the logs of the ranks" : format("the log of rank {}", behind.front());
  throw TimeOut(format("{} did not finish in {:.1f} s ({} is {}); {}", operation.where(), seconds,
                       options_.setting, options_.timeout_s, report),
                format("look into {}; if it was only slow, raise {}", logs, options_.setting),
                behind);
}

void MpiRuntime::wait(MpiOperation& operation) {
  const Stopwatch total;
  Stopwatch since_look;
  Backoff backoff;
  bool looked = false;
  for (;;) {
    const bool moved = poll();
    if (operation.requests.empty() && !operation.then) return;
    // Look where the others are after each half of the time-out: a rank that moved between two
    // looks is slow, not lost.
    if (since_look.seconds() > options_.timeout_s / 2) {
      const bool others_moved = watchdog_.others_moved();
      // The last poll: what was late may have come while the others' files were read.
      if (looked && !others_moved && !poll()) time_out(operation, total.seconds());
      looked = true;
      since_look.lap();
    }
    if (moved) {
      backoff = Backoff();
    } else {
      backoff.pause();
    }
  }
}

}  // namespace moesaic
