#include "threads.h"

#include <ATen/Parallel.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

namespace moesaic::worker {
namespace {

int cores_of_machine() { return static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN)); }

int share_of_cores(int ranks) {
  const int online = cores_of_machine(), mine = cores_of_rank();
  return mine < online ? mine : online / ranks;  // a bound rank has its cores for itself
}

}  // namespace

int cores_of_rank() {
  cpu_set_t set;
  CPU_ZERO(&set);
  return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : cores_of_machine();
}

int use_threads(std::int64_t wanted, int ranks_on_this_machine) {
  const char* environment = std::getenv("OMP_NUM_THREADS");
  int threads = static_cast<int>(wanted);
  if (threads == 0 && environment != nullptr) threads = std::atoi(environment);
  if (threads <= 0) threads = share_of_cores(ranks_on_this_machine);
  at::set_num_threads(std::max(1, threads));
  return at::get_num_threads();
}

}  // namespace moesaic::worker
