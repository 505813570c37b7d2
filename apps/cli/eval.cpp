// moesaic eval: starts the ranks that measure a model on data.
#include <memory>

#include "common/eval_arguments.h"
#include "launcher.h"
#include "verbs.h"

namespace moesaic::cli {
namespace {

struct Arguments {
  EvalArguments eval;
  int ranks = 1;
};

int run(const Arguments& arguments) {
  refuse_inside_a_job("eval");
  const Machine machine = Machine::here();
  LaunchRequest request{.ranks = arguments.ranks,
                        .device = arguments.eval.inference.device,
                        .worker = to_argv(arguments.eval)};
  request.worker.insert(request.worker.begin(), "eval");
  const Launch launch = make_launch(request, machine);
  warn_of_crowding(request.ranks, launch, machine);
  const LaunchResult result =
      run_job(launch, {.saves_on_stop = false,
                       .advice = {.less_memory = "lower --batch-tokens", .afterwards = ""}});
  if (result.failure) std::fputs(to_text(*result.failure).c_str(), stderr);
  return result.exit_code;
}

}  // namespace

void add_eval(CLI::App& app, int& exit_code) {
  const auto arguments = std::make_shared<Arguments>();
  CLI::App* verb =
      app.add_subcommand("eval", "Perplexity, bits per byte, accuracy of multiple choice");
  add_eval_arguments(*verb, arguments->eval);
  verb->add_option("-n", arguments->ranks, "Number of ranks")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  verb->callback([arguments, &exit_code] { exit_code = run(*arguments); });
}

}  // namespace moesaic::cli
