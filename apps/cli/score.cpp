// moesaic score: starts the ranks that score JSONL, passing stdin and stdout through.
#include <memory>

#include "common/score_arguments.h"
#include "launcher.h"
#include "verbs.h"

namespace moesaic::cli {
namespace {

struct Arguments {
  ScoreArguments score;
  int ranks = 1;
};

int run(const Arguments& arguments) {
  refuse_inside_a_job("score");
  const Machine machine = Machine::here();
  LaunchRequest request{.ranks = arguments.ranks,
                        .device = arguments.score.inference.device,
                        .worker = to_argv(arguments.score)};
  request.worker.insert(request.worker.begin(), "score");
  const Launch launch = make_launch(request, machine);
  warn_of_crowding(request.ranks, launch, machine);
  const LaunchResult result =
      run_job(launch, {.saves_on_stop = false,
                       .gives_stdin = arguments.score.input.empty(),
                       .advice = {.less_memory = "lower --batch-tokens", .afterwards = ""}});
  if (result.failure) std::fputs(to_text(*result.failure).c_str(), stderr);
  return result.exit_code;
}

}  // namespace

void add_score(CLI::App& app, int& exit_code) {
  const auto arguments = std::make_shared<Arguments>();
  CLI::App* verb = app.add_subcommand("score", "Log-probabilities of texts or token ids, JSONL");
  add_score_arguments(*verb, arguments->score);
  verb->add_option("-n", arguments->ranks, "Number of ranks")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  verb->callback([arguments, &exit_code] { exit_code = run(*arguments); });
}

}  // namespace moesaic::cli
