// moesaic generate: starts the ranks that continue a text; it comes out as it is made.
#include <memory>

#include "common/generate_arguments.h"
#include "core/path.h"
#include "inference_job.h"
#include "verbs.h"

namespace moesaic::cli {

void add_generate(CLI::App& app, int& exit_code) {
  struct Arguments {
    GenerateArguments worker;
    int ranks = 1;
    std::optional<std::string> prometheus;
  };
  const auto arguments = std::make_shared<Arguments>();
  CLI::App* verb = app.add_subcommand("generate", "Continues a text, or answers one in a chat");
  add_generate_arguments(*verb, arguments->worker);
  add_ranks_option(*verb, arguments->ranks);
  add_prometheus_option(*verb, arguments->prometheus);
  verb->callback([arguments, &exit_code] {
    const GenerateArguments& a = arguments->worker;
    refuse_same_file(a.input, a.output);
    check_effects(a, arguments->ranks);
    exit_code =
        run_inference_job({.verb = "generate",
                           .arguments = to_argv(a),
                           .device = a.inference.device,
                           .ranks = arguments->ranks,
                           .threads = a.inference.threads,
                           .gives_stdin = !a.prompt && a.input.empty(),
                           .less_memory = "use --precision bfloat16 or more ranks with --expert",
                           .model = a.inference.model,
                           .prometheus = arguments->prometheus});
  });
}

}  // namespace moesaic::cli
