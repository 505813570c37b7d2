// moesaic generate: starts the ranks that continue a text; it comes out as it is made.
#include <memory>

#include "common/generate_arguments.h"
#include "launcher.h"
#include "verbs.h"

namespace moesaic::cli {
namespace {

struct Arguments {
  GenerateArguments generate;
  int ranks = 1;
};

int run(const Arguments& arguments) {
  refuse_inside_a_job("generate");
  const Machine machine = Machine::here();
  LaunchRequest request{.ranks = arguments.ranks,
                        .device = arguments.generate.inference.device,
                        .worker = to_argv(arguments.generate)};
  request.worker.insert(request.worker.begin(), "generate");
  const Launch launch = make_launch(request, machine);
  warn_of_crowding(request.ranks, launch, machine);
  const LaunchResult result =
      run_job(launch, {.saves_on_stop = false,
                       .gives_stdin = !arguments.generate.prompt,
                       .advice = {.less_memory = "use --precision bfloat16 or more ranks with "
                                                 "--expert",
                                  .afterwards = ""}});
  if (result.failure) std::fputs(to_text(*result.failure).c_str(), stderr);
  return result.exit_code;
}

}  // namespace

void add_generate(CLI::App& app, int& exit_code) {
  const auto arguments = std::make_shared<Arguments>();
  CLI::App* verb = app.add_subcommand("generate", "Continues a text, or answers one in a chat");
  add_generate_arguments(*verb, arguments->generate);
  verb->add_option("-n", arguments->ranks, "Number of ranks")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  verb->callback([arguments, &exit_code] { exit_code = run(*arguments); });
}

}  // namespace moesaic::cli
