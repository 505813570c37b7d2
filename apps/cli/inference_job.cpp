#include "inference_job.h"

#include "launcher.h"

namespace moesaic::cli {

void add_ranks_option(CLI::App& verb, int& ranks) {
  verb.add_option("-n", ranks, "Number of ranks")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
}

int run_inference_job(const InferenceJob& job) {
  refuse_inside_a_job(job.verb);
  const Machine machine = Machine::here();
  LaunchRequest request{.ranks = job.ranks,
                        .threads_per_rank = job.threads,
                        .device = job.device,
                        .worker = job.arguments};
  request.worker.insert(request.worker.begin(), job.verb);
  const Launch launch = make_launch(request, machine);
  warn_of_crowding(request.ranks, launch, machine);
  const LaunchResult result =
      run_job(launch, {.saves_on_stop = false,
                       .gives_stdin = job.gives_stdin,
                       .advice = {.less_memory = job.less_memory, .afterwards = ""}});
  if (result.failure) std::fputs(to_text(*result.failure).c_str(), stderr);
  return result.exit_code;
}

}  // namespace moesaic::cli
