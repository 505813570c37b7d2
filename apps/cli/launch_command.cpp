#include "launch_command.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "core/error.h"
#include "core/path.h"

namespace moesaic::cli {
namespace {

using Variables = std::vector<std::pair<std::string, std::string>>;

void append(std::vector<std::string>& argv, std::initializer_list<std::string> more) {
  argv.insert(argv.end(), more);
}

// Threads that wait for the others of a product. By default libgomp lets them spin for some
// milliseconds, which on a machine that is shared are the milliseconds the others need.
constexpr const char* kSpins = "2000";

Variables variables_of(int threads, int columns) {
  const std::string number = format("{}", threads);
  Variables variables = {{"OMP_NUM_THREADS", number},
                         {"MKL_NUM_THREADS", number},
                         {"MOESAIC_LAUNCHER", "1"}};  // it shows the error of a failed rank
  if (!std::getenv("OMP_WAIT_POLICY") && !std::getenv("GOMP_SPINCOUNT"))
    variables.emplace_back("GOMP_SPINCOUNT", kSpins);
  if (columns > 0) {
    variables.emplace_back("MOESAIC_TERMINAL", "1");
    variables.emplace_back("COLUMNS", format("{}", columns));
  }
  if (const char* plain = std::getenv("NO_COLOR")) variables.emplace_back("NO_COLOR", plain);
  return variables;
}

std::string mpirun_program() {
  const std::string program = find_on_path("mpirun");
  if (!program.empty()) return program;
  throw Error(ErrorKind::kDevice, "mpirun is not on the PATH, and more than one rank needs it",
              "install it (apt-get install openmpi-bin) or load its module (module load openmpi)");
}

// Binding pays only when the ranks have the node for themselves and divide it evenly; else a bound
// rank shares its core with somebody while others idle.
void append_placement(std::vector<std::string>& argv, const Launch& launch) {
  if (launch.bound) {
    append(argv, {"--map-by", format("slot:PE={}", launch.threads), "--bind-to", "core"});
    return;
  }
  // The slots of an allocation may be fewer than its cores: how many ranks run is decided here.
  append(argv, {"--oversubscribe", "--bind-to", "none"});
  // A rank that waits must leave its core to one that computes.
  if (launch.crowded) append(argv, {"--mca", "mpi_yield_when_idle", "1"});
}

void append_mpirun(std::vector<std::string>& argv, int ranks, const Launch& launch,
                   const Machine& machine, const Variables& variables) {
  argv = mpirun_argv(mpirun_program(), ranks, machine);
  append_placement(argv, launch);
  if (!machine.shares_memory) append(argv, {"--mca", "btl_vader_single_copy_mechanism", "none"});
  for (const auto& [name, value] : variables) append(argv, {"-x", name + "=" + value});
}

}  // namespace

std::string worker_program(const std::string& device) {
  const bool cuda = device == "cuda";
  const std::string path = program_folder() + (cuda ? "/moesaic-worker-cuda" : "/moesaic-worker");
  if (::access(path.c_str(), X_OK) == 0) return path;
  throw Error(ErrorKind::kDevice, format("the program {} is not there", path),
              cuda ? "build it where the CUDA toolkit and NCCL are installed (cmake --preset gpu), "
                     "or set the device to cpu (parallel.device=cpu, --device cpu)"
                   : "build the target moesaic-worker into the same folder");
}

// Without ssh mpirun does not even start ranks on its own node, unless its place is taken: by a
// program that fails, should it be called after all.
std::vector<std::string> mpirun_argv(const std::string& program, int ranks,
                                     const Machine& machine) {
  std::vector<std::string> argv = {program, "-n", format("{}", ranks)};
  if (machine.root) append(argv, {"--allow-run-as-root"});
  const std::string stand_in = machine.remote_shell ? "" : find_on_path("false");
  if (!stand_in.empty()) append(argv, {"--mca", "plm_rsh_agent", stand_in});
  return argv;
}

Launch make_launch(const LaunchRequest& request, const Machine& machine) {
  Launch launch;
  const int on_node = (request.ranks + machine.nodes - 1) / machine.nodes;
  launch.crowded = on_node > machine.usable_cores;
  launch.threads = request.threads_per_rank;
  if (launch.threads == 0) launch.threads = std::max(1, machine.usable_cores / on_node);
  const bool whole_node = machine.usable_cores == machine.cores;
  launch.has_mpirun = request.ranks > 1;
  launch.on_one_node = machine.nodes == 1;
  launch.bound = launch.has_mpirun && whole_node && on_node * launch.threads == machine.cores;

  const Variables variables = variables_of(launch.threads, request.columns);
  std::vector<std::string>& argv = launch.command.argv;
  if (launch.has_mpirun) {
    append_mpirun(argv, request.ranks, launch, machine, variables);
  } else {
    launch.command.environment = variables;
  }
  argv.push_back(worker_program(request.device));
  argv.insert(argv.end(), request.worker.begin(), request.worker.end());
  return launch;
}

}  // namespace moesaic::cli
