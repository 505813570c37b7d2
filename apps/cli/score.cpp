// moesaic score: starts the ranks that score JSONL, passing stdin and stdout through.
#include <memory>

#include "common/score_arguments.h"
#include "core/path.h"
#include "inference_job.h"
#include "verbs.h"

namespace moesaic::cli {

void add_score(CLI::App& app, int& exit_code) {
  struct Arguments {
    ScoreArguments worker;
    int ranks = 1;
    std::optional<std::string> prometheus;
  };
  const auto arguments = std::make_shared<Arguments>();
  CLI::App* verb = app.add_subcommand("score", "Log-probabilities of texts or token ids, JSONL");
  add_score_arguments(*verb, arguments->worker);
  add_ranks_option(*verb, arguments->ranks);
  add_prometheus_option(*verb, arguments->prometheus);
  verb->callback([arguments, &exit_code] {
    const ScoreArguments& a = arguments->worker;
    refuse_same_file(a.input, a.output);
    check_effects(a, arguments->ranks);
    exit_code = run_inference_job({.verb = "score",
                                   .arguments = to_argv(a),
                                   .device = a.inference.device,
                                   .ranks = arguments->ranks,
                                   .threads = a.inference.threads,
                                   .gives_stdin = a.input.empty(),
                                   .less_memory = "lower --batch-tokens",
                                   .model = a.inference.model,
                                   .prometheus = arguments->prometheus});
  });
}

}  // namespace moesaic::cli
