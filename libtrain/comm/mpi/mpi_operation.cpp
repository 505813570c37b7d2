#include "comm/mpi/mpi_operation.h"

#include <sched.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "core/clock.h"
#include "core/error.h"

namespace moesaic {
namespace {

/// Waiting that is quick when the peer is near and leaves the core to others when it is not: ranks
/// may outnumber the cores.
class Backoff {
 public:
  void pause(double waited) {
    if (++rounds_ < kSpins) return;
    if (waited < kYieldSeconds) {
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
  std::chrono::microseconds sleep_{20};
};

}  // namespace

std::string MpiOperation::where() const {
  return format("collective '{}' of group {} (rank {} of {})", label, group, rank, size);
}

bool MpiRuntime::test(MpiOperation& operation) {
  int done = 1;
  if (!operation.requests.empty()) {
    check_mpi(MPI_Testall(static_cast<int>(operation.requests.size()), operation.requests.data(),
                          &done, MPI_STATUSES_IGNORE),
              operation.where());
  }
  if (done == 0) return false;
  operation.requests.clear();
  std::erase_if(pending_, [&](const auto& pending) { return pending.get() == &operation; });
  return true;
}

void MpiRuntime::wait(MpiOperation& operation) {
  const double timeout = options_.comm.timeout_s;
  Stopwatch total;
  Stopwatch since_sign;
  Backoff backoff;
  bool looked = false;
  while (!test(operation)) {
    const double waited = since_sign.seconds();
    // Half-way, remember where the others are: a rank that moves in the second half is slow, not
    // lost.
    if (!looked && waited > timeout / 2) looked = (watchdog_.others_moved(), true);
    if (waited > timeout) {
      if (!watchdog_.others_moved()) time_out(operation, total.seconds());
      since_sign = Stopwatch();
      looked = false;
    }
    backoff.pause(total.seconds());
  }
}

void MpiRuntime::progress() {
  watchdog_.alive();
  // One unfinished request is enough: testing it advances all that MPI has under way.
  while (!pending_.empty()) {
    const auto first = pending_.front();  // keeps it alive while it leaves the list
    if (!test(*first)) return;
  }
}

void MpiRuntime::time_out(const MpiOperation& operation, double seconds) const {
  throw Error(
      ErrorKind::kCommunication,
      format("{} did not finish in {:.1f} s; {}", operation.where(), seconds, watchdog_.report()),
      "read the log of the rank that is behind; if it was only slow, raise "
      "parallel.timeout_s");
}

}  // namespace moesaic
