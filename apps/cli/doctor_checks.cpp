#include "doctor_checks.h"

#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <sstream>

#include "core/error.h"
#include "core/version.h"
#include "launch_command.h"
#include "machine.h"
#include "process.h"

namespace moesaic::cli {
namespace {

constexpr double kTimeoutSeconds = 20;
constexpr double kGiB = 1024.0 * 1024.0 * 1024.0;

std::string one_line(const std::string& text) {
  std::istringstream words(text);
  std::string line;
  for (std::string word; words >> word && line.size() < 200;) {
    line += (line.empty() ? "" : " ") + word;
  }
  return line;
}

// Loads LibTorch, MPI and HDF5: what the dynamic linker cannot find shows here.
Check check_worker(const std::string& device) {
  Check check{"worker, " + device, Verdict::kGood, "", ""};
  try {
    const std::string program = worker_program(device);
    const Captured version = run_captured({{program, "--version"}, {}}, kTimeoutSeconds);
    check.detail = program;
    if (version.exit_code == 0) return check;
    check.detail += " does not start: " + one_line(version.output);
    check.fix = "scripts/setup.sh, then build again";
  } catch (const Error& error) {
    check.detail = error.what();
    check.fix = error.hint();
  }
  check.verdict = Verdict::kMissing;
  return check;
}

Check check_cuda_worker(bool has_gpu) {
  Check check = check_worker("cuda");
  if (check.verdict != Verdict::kMissing) return check;
  check.verdict = has_gpu ? Verdict::kWarning : Verdict::kAbsent;
  if (!has_gpu) check.fix.clear();
  return check;
}

// The program `true` on so many ranks.
Command true_on(int ranks, const Machine& machine, std::initializer_list<std::string> options) {
  Command command{mpirun_argv(find_on_path("mpirun"), ranks, machine), {}};
  command.argv.insert(command.argv.end(), options);
  command.argv.push_back(find_on_path("true"));
  return command;
}

Check check_mpirun() {
  const std::string program = find_on_path("mpirun");
  if (program.empty()) {
    return {"mpirun", Verdict::kMissing, "not on the PATH: only one rank can run",
            "apt-get install openmpi-bin, or module load openmpi"};
  }
  const Captured version = run_captured({{program, "--version"}, {}}, kTimeoutSeconds);
  const std::string line = version.output.substr(0, version.output.find('\n'));
  if (line.find("Open MPI") == std::string::npos) {
    return {"mpirun", Verdict::kWarning, program + " is not Open MPI's: " + one_line(line),
            "start the worker with that MPI's own launcher, or put Open MPI first on the PATH"};
  }
  return {"mpirun", Verdict::kGood, program + ": " + line, ""};
}

Check check_two_ranks(const Machine& machine) {
  if (const auto job = task_of_a_job()) {
    return {"two ranks", Verdict::kAbsent, "not tried inside a job (" + *job + ")", ""};
  }
  const Command command = true_on(2, machine, {"--oversubscribe", "--bind-to", "none"});
  const Captured tried = run_captured(command, kTimeoutSeconds);
  if (tried.exit_code == 0) return {"two ranks", Verdict::kGood, "mpirun starts them", ""};
  const std::string trouble = trouble_of_mpirun(machine.host);
  return {"two ranks", Verdict::kMissing, "mpirun does not start them: " + one_line(tried.output),
          trouble.empty() ? command.shell_text() : trouble};
}

Check check_binding(const Machine& machine) {
  const Command command = true_on(1, machine, {"--bind-to", "core"});
  const bool works = run_captured(command, kTimeoutSeconds).exit_code == 0;
  if (works) return {"binding", Verdict::kGood, "ranks can be bound to cores", ""};
  return {"binding", Verdict::kWarning, "ranks cannot be bound to cores here",
          "train with parallel.threads_per_rank below cores / ranks: ranks are then left unbound"};
}

Check describe_cores(const Machine& machine) {
  const bool all = machine.usable_cores == machine.cores;
  return {"cores", Verdict::kGood,
          all ? format("{} on {}", machine.cores, machine.host)
              : format("{} of {} on {} (affinity mask or quota)", machine.usable_cores,
                       machine.cores, machine.host),
          ""};
}

Check describe_memory() {
  return {"memory", Verdict::kGood, format("{:.1f} GiB available", available_memory_bytes() / kGiB),
          ""};
}

// Ranks on one node exchange messages in /dev/shm; containers get 64 MiB of it by default.
Check check_shared_memory() {
  struct statvfs status {};
  if (::statvfs("/dev/shm", &status) != 0) {
    return {"shared memory", Verdict::kWarning, "/dev/shm is not there", "mount a tmpfs on it"};
  }
  const double free = static_cast<double>(status.f_bavail) * static_cast<double>(status.f_frsize);
  Check check{"shared memory", Verdict::kGood, format("{:.2f} GiB free in /dev/shm", free / kGiB),
              ""};
  if (free < 0.25 * kGiB) {
    check.verdict = Verdict::kWarning;
    check.fix = "docker run --ipc=host, or --shm-size=1g";
  }
  return check;
}

Check describe_copies(const Machine& machine) {
  if (machine.shares_memory) {
    return {"message copies", Verdict::kGood, "between processes, in one step", ""};
  }
  return {"message copies", Verdict::kWarning,
          "through shared memory, in two steps: copies between processes are not permitted",
          "docker run --cap-add=SYS_PTRACE, or sysctl kernel.yama.ptrace_scope=0"};
}

std::vector<Check> describe_gpus() {
  const std::string program = find_on_path("nvidia-smi");
  if (program.empty()) return {};
  const Captured list = run_captured(
      {{program, "--query-gpu=index,name,memory.total,driver_version", "--format=csv,noheader"},
       {}},
      kTimeoutSeconds);
  if (list.exit_code != 0) {
    return {{"gpu", Verdict::kWarning, "nvidia-smi fails: " + one_line(list.output),
             "check the driver"}};
  }
  std::vector<Check> checks;
  std::istringstream lines(list.output);
  for (std::string line; std::getline(lines, line);) {
    checks.push_back({"gpu", Verdict::kGood, format("local rank {}: {}", checks.size(), line), ""});
  }
  return checks;
}

}  // namespace

std::vector<Check> run_checks() {
  const Machine machine = Machine::here();
  std::vector<Check> checks = {describe_cores(machine), describe_memory(), check_shared_memory(),
                               check_worker("cpu"), check_mpirun()};
  const bool open_mpi = checks.back().verdict == Verdict::kGood;
  if (open_mpi) {
    checks.push_back(check_two_ranks(machine));
    checks.push_back(check_binding(machine));
    checks.push_back(describe_copies(machine));
  }
  const std::vector<Check> gpus = describe_gpus();
  checks.insert(checks.end(), gpus.begin(), gpus.end());
  if (gpus.empty()) checks.push_back({"gpu", Verdict::kAbsent, "none seen (no nvidia-smi)", ""});
  const bool has_gpu = !gpus.empty() && gpus.front().verdict == Verdict::kGood;
  checks.push_back(check_cuda_worker(has_gpu));
  return checks;
}

}  // namespace moesaic::cli
