// moesaic eval: starts the ranks that measure a model on data.
#include <memory>

#include "common/eval_arguments.h"
#include "inference_job.h"
#include "verbs.h"

namespace moesaic::cli {

void add_eval(CLI::App& app, int& exit_code) {
  struct Arguments {
    EvalArguments worker;
    int ranks = 1;
  };
  const auto arguments = std::make_shared<Arguments>();
  CLI::App* verb =
      app.add_subcommand("eval", "Perplexity, bits per byte, accuracy of multiple choice");
  add_eval_arguments(*verb, arguments->worker);
  add_ranks_option(*verb, arguments->ranks);
  verb->callback([arguments, &exit_code] {
    const EvalArguments& a = arguments->worker;
    check_effects(a, arguments->ranks);
    exit_code = run_inference_job({.verb = "eval",
                                   .arguments = to_argv(a),
                                   .device = a.inference.device,
                                   .ranks = arguments->ranks,
                                   .less_memory = "lower --batch-tokens"});
  });
}

}  // namespace moesaic::cli
