#include "machine.h"

#include <sched.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <set>

#include "core/format.h"
#include "core/host_name.h"

namespace fs = std::filesystem;

namespace moesaic::cli {
namespace {

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// Hardware threads of one core share its arithmetic, so a core counts once.
int count_cores(const cpu_set_t& set) {
  std::set<std::string> cores;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(static_cast<std::size_t>(cpu), &set)) continue;
    const std::string siblings =
        first_line(format("/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list", cpu));
    cores.insert(siblings.empty() ? format("{}", cpu) : siblings);
  }
  return std::max(1, static_cast<int>(cores.size()));
}

cpu_set_t online_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::error_code code;  // a container may have no such folder
  for (const auto& entry : fs::directory_iterator("/sys/devices/system/cpu", code)) {
    const std::string name = entry.path().filename().string();
    const int cpu = name.starts_with("cpu") ? std::atoi(name.c_str() + 3) : 0;
    const bool is_cpu = name == format("cpu{}", cpu) && cpu < CPU_SETSIZE;
    if (is_cpu && first_line(entry.path().string() + "/online") != "0") {  // cpu0 may have no file
      CPU_SET(static_cast<std::size_t>(cpu), &set);
    }
  }
  return set;
}

// Whole cores that the quota of a container is worth.
int quota_cores() {
  const int no_limit = std::numeric_limits<int>::max();
  double quota = -1, period = 0;
  if (std::ifstream v2("/sys/fs/cgroup/cpu.max"); v2 >> quota >> period) {
    // "max 100000" fails to read: no limit
  } else {
    std::ifstream("/sys/fs/cgroup/cpu/cpu.cfs_quota_us") >> quota;
    std::ifstream("/sys/fs/cgroup/cpu/cpu.cfs_period_us") >> period;
  }
  if (quota <= 0 || period <= 0) return no_limit;
  return std::max(1, static_cast<int>(std::floor(quota / period)));
}

// Open MPI copies large messages with process_vm_readv between ranks, and in containers that forbid
// it prints an error for every message. Ranks are siblings, so one child reads from another.
bool siblings_share_memory() {
  static const int value = 1;
  const pid_t target = ::fork();
  if (target == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // a launcher that is killed meanwhile leaves nothing behind,
    ::alarm(5);                          // nor does one that was killed before this line
    ::pause();
    ::_exit(0);
  }
  const pid_t reader = ::fork();
  if (reader == 0) {
    int copy = 0;
    const iovec local{&copy, sizeof copy};
    const iovec remote{const_cast<int*>(&value), sizeof value};  // forked: the same address
    ::_exit(::process_vm_readv(target, &local, 1, &remote, 1, 0) == sizeof copy ? 0 : 1);
  }
  int status = -1;
  if (reader > 0) ::waitpid(reader, &status, 0);
  if (target > 0) {
    ::kill(target, SIGKILL);
    ::waitpid(target, nullptr, 0);
  }
  return status == 0;
}

int number_in(const char* variable, int otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::atoi(text);
}

}  // namespace

Machine Machine::here() {
  Machine machine;
  machine.host = host_name();
  machine.cores = count_cores(online_cpus());
  cpu_set_t mine;
  const bool known = ::sched_getaffinity(0, sizeof mine, &mine) == 0;
  machine.usable_cores = std::min(known ? count_cores(mine) : machine.cores, quota_cores());
  machine.nodes = std::max(1, number_in("SLURM_JOB_NUM_NODES", 1));
  machine.root = ::geteuid() == 0;
  machine.remote_shell = std::getenv("OMPI_MCA_plm_rsh_agent") != nullptr ||
                         !find_on_path("ssh").empty() || !find_on_path("rsh").empty();
  machine.shares_memory = siblings_share_memory();
  return machine;
}

// Open MPI 4.1 keeps a name made of the host's in 64 bytes, and crashes when it does not fit.
std::string trouble_of_mpirun(const std::string& host) {
  constexpr std::size_t kLongestHost = 56;
  if (host.size() <= kLongestHost) return "";
  return format(
      "the host name has {} characters, and mpirun of Open MPI 4.1 starts with at most "
      "{}: give this machine a shorter one (hostname NAME, docker run --hostname NAME), "
      "or use one rank",
      host.size(), kLongestHost);
}

// A batch script of Slurm has SLURM_NTASKS and SLURM_PROCID too, and there the launcher belongs:
// only a job step with several tasks is refused.
std::optional<std::string> task_of_a_job() {
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"}) {
    if (const int tasks = number_in(name, 1); tasks > 1) return format("{}={}", name, tasks);
  }
  return std::nullopt;
}

double available_memory_bytes() {
  double bytes = 0;
  std::ifstream info("/proc/meminfo");
  for (std::string name; info >> name;) {
    if (name == "MemAvailable:" && info >> bytes) break;
  }
  bytes *= 1024;
  double limit = 0, used = 0, cached = 0;
  const bool limited = (std::ifstream("/sys/fs/cgroup/memory.max") >> limit) &&
                       (std::ifstream("/sys/fs/cgroup/memory.current") >> used);
  std::ifstream counts("/sys/fs/cgroup/memory.stat");  // files that are read again when needed
  for (std::string name; counts >> name;) {
    if (name == "inactive_file" && counts >> cached) break;
  }
  return limited ? std::min(bytes, std::max(0.0, limit - used + cached)) : bytes;
}

std::string find_on_path(const std::string& name) {
  const char* path = std::getenv("PATH");
  std::string folders = path == nullptr ? "/usr/bin:/bin" : path;
  while (!folders.empty()) {
    const std::size_t end = folders.find(':');
    const std::string program = folders.substr(0, end) + "/" + name;
    folders = end == std::string::npos ? "" : folders.substr(end + 1);
    std::error_code code;
    if (::access(program.c_str(), X_OK) == 0 && !fs::is_directory(program, code)) return program;
  }
  return "";
}

}  // namespace moesaic::cli
