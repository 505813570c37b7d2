// moesaic eval: starts the ranks that measure a model on data, or compares what was measured.
#include <cstdio>
#include <memory>

#include "common/eval_arguments.h"
#include "core/json_text.h"
#include "inference_job.h"
#include "launch_command.h"
#include "metrics/comparison.h"
#include "process.h"
#include "verbs.h"

namespace moesaic::cli {
namespace {

struct EvalCommand {
  EvalArguments worker;
  std::vector<std::string> compare;  // before and after
  int ranks = 1;
};

int compare(const EvalCommand& command) {
  const Json comparison = metrics::compare_paths(command.compare.at(0), command.compare.at(1));
  const std::string text = command.worker.json ? json_text(comparison, 2) + "\n"
                                               : metrics::comparison_markdown(comparison);
  std::fputs(text.c_str(), stdout);
  return 0;
}

int run_eval(const EvalCommand& command) {
  const EvalArguments& a = command.worker;
  if (!command.compare.empty()) return compare(command);
  require_complete(a);
  check_effects(a, command.ranks);
  std::vector<std::string> argv = to_argv(a);
  if (!a.predictions.empty()) {  // no ranks: this process becomes the one that reads them
    argv.insert(argv.begin(), {worker_program(), "eval"});
    replace_process({argv, {}});
  }
  return run_inference_job({.verb = "eval",
                            .arguments = argv,
                            .device = a.inference.device,
                            .ranks = command.ranks,
                            .less_memory = "lower --batch-tokens"});
}

}  // namespace

void add_eval(CLI::App& app, int& exit_code) {
  const auto command = std::make_shared<EvalCommand>();
  CLI::App* verb = app.add_subcommand(
      "eval", "Perplexity, multiple choice, answers, labels, cases; tables of before and after");
  add_eval_arguments(*verb, command->worker);
  add_ranks_option(*verb, command->ranks);
  verb->add_option("--compare", command->compare,
                   "BEFORE AFTER: two results of --json, or two folders of them with the same "
                   "names; one table in Markdown, or with --json as JSON")
      ->expected(2)
      ->excludes("--model")
      ->excludes("--data")
      ->excludes("--predictions");
  verb->callback([command, &exit_code] { exit_code = run_eval(*command); });
}

}  // namespace moesaic::cli
