// moesaic eval: starts the ranks that measure a model on data, or two, or compares what was
// measured.
#include <cstdio>
#include <memory>

#include "common/eval_arguments.h"
#include "common/without_effect.h"
#include "config/model_config.h"
#include "core/error.h"
#include "core/json_text.h"
#include "core/path.h"
#include "inference_job.h"
#include "launch_command.h"
#include "metrics/comparison.h"
#include "process.h"
#include "verbs.h"

namespace moesaic::cli {
namespace {

struct EvalCommand {
  EvalArguments worker;
  int ranks = 1;
  std::optional<std::string> prometheus;
};

int compare_results(const EvalArguments& a) {
  for (const std::string& path : a.compare) {
    MOESAIC_CHECK(!find_model_config(path), ErrorKind::kUsage,
                  "{} is a model: --compare needs --data (and --task) to measure it on", path);
  }
  const Json comparison = metrics::compare_paths(a.compare.at(0), a.compare.at(1));
  const std::string text =
      a.json ? json_text(comparison, 2) + "\n" : metrics::comparison_markdown(comparison);
  std::fputs(text.c_str(), stdout);
  return 0;
}

int run_eval(const EvalCommand& command) {
  const EvalArguments& a = command.worker;
  const bool computes = a.predictions.empty() && (a.compare.empty() || !a.data.empty());
  warn_without_effect(command.prometheus && !computes, "--prometheus", "no model runs");
  if (!a.compare.empty() && a.data.empty()) return compare_results(a);
  require_complete(a);
  // Both are there: the second one is opened when the first one has been measured.
  for (const std::string& path : a.compare) static_cast<void>(read_model_config(path));
  refuse_same_file(a.predictions.empty() ? a.data : a.predictions, a.output);
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
                            .threads = a.inference.threads,
                            .less_memory = "lower --batch-tokens",
                            .model = a.compare.empty() ? a.inference.model : a.compare.at(1),
                            .prometheus = command.prometheus});
}

}  // namespace

void add_eval(CLI::App& app, int& exit_code) {
  const auto command = std::make_shared<EvalCommand>();
  CLI::App* verb = app.add_subcommand(
      "eval", "Perplexity, multiple choice, answers, labels, cases; tables of before and after");
  add_eval_arguments(*verb, command->worker);
  add_ranks_option(*verb, command->ranks);
  add_prometheus_option(*verb, command->prometheus);
  verb->callback([command, &exit_code] { exit_code = run_eval(*command); });
}

}  // namespace moesaic::cli
