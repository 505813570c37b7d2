// moesaic importance: starts the ranks that find out how much each value of a model matters for old
// data.
#include <memory>

#include "common/importance_arguments.h"
#include "config/recipe_reader.h"
#include "inference_job.h"
#include "verbs.h"

namespace moesaic::cli {
namespace {

// The ranks read it anew: here a mistake costs no start of MPI.
std::string device_of(const ImportanceArguments& arguments, int ranks) {
  return require_recipe(arguments.recipe, {"parallel.expert=1"}, ranks).parallel.device;
}

}  // namespace

void add_importance(CLI::App& app, int& exit_code) {
  struct Arguments {
    ImportanceArguments worker;
    int ranks = 1;
  };
  const auto arguments = std::make_shared<Arguments>();
  CLI::App* verb = app.add_subcommand(
      "importance", "How much each value of a model matters for its old data, to a file");
  add_importance_arguments(*verb, arguments->worker);
  add_ranks_option(*verb, arguments->ranks);
  verb->callback([arguments, &exit_code] {
    exit_code = run_inference_job({.verb = "importance",
                                   .arguments = to_argv(arguments->worker),
                                   .device = device_of(arguments->worker, arguments->ranks),
                                   .ranks = arguments->ranks,
                                   .less_memory = "lower train.micro_batch_size"});
  });
}

}  // namespace moesaic::cli
